"""Scenarios: named, revisioned configurations of an answer: filters, boosts, pins, diversity and exploration."""
