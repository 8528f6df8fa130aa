"""Corrections of stored history: events undone, users erased, and everything derived from their events with them."""
