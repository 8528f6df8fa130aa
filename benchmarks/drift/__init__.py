"""Streams with known changes, and plots."""
