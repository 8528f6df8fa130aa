"""What offline comparisons share: the scorer port and ranking metrics."""
