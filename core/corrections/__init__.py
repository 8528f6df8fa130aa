"""Corrections of stored history: undo an event, merge users, erase a user, with all that their events derive."""
