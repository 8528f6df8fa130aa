"""Runs of an hour and more: too much load, and a simulated day of normal load."""
