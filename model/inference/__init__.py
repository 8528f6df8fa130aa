"""Incremental encoding: what a new event costs."""
