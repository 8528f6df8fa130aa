"""Offline evaluation: the scorer port and ranking metrics."""
