"""Events of users: parsing and validation, their values, and a user's window."""
