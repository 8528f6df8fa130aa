"""Rows of files as events and catalogue items."""
