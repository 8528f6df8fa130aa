"""From scores to the best items that a request may get."""
