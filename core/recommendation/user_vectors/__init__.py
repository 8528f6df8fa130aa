"""A user's state and vector, read or encoded once and kept while unchanged."""
