"""Reproducible measurements. Each prints a table and, last, one line of JSON."""
