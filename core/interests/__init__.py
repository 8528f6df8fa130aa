"""Interests over time: of one user, with a test for shifts, and of everybody, compared between periods."""
