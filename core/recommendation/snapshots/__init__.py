"""What every request of a moment shares: catalogue, bound model, indexes, and how they follow changes."""
