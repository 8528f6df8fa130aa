"""Clients of a campaign that use the whole API, what they were told, and the comparison with what is stored."""
