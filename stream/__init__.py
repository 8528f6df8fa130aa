"""The event log: Apache Kafka and Faust.

Independent of databases, models and HTTP: the composition root passes in the use case that applies events.
"""
