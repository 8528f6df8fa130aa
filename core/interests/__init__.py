"""Short-term and long-term interests of one user, and shifts between them."""
