"""Offline evaluation of files of events."""
