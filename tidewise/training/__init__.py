"""Training from the store's events: features, plans, models."""
