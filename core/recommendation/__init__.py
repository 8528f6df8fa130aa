"""From a user's state to a ranked list of items."""
