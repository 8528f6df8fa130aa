"""Kafka and Faust: topics, producer, consumer, group membership."""
