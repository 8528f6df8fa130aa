"""Users beyond their events: attributes, and segments of users by them."""
