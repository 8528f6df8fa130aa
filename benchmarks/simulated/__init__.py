"""Simulated visitors and policies whose truth is known."""
