"""The event log: everything that knows Apache Kafka and Faust.

Knows nothing about databases, models or HTTP: the composition root hands in the use case that applies events.
"""
