"""Outcomes: which answers were given, and the impressions, clicks and purchases that are attributed to them."""
