"""Drift of interests in a stream of interactions. Imports neither Kafka nor Faust."""
