"""Drift detectors. Independent of Kafka and Faust."""
