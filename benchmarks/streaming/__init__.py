"""Throughput and freshness over Kafka and PostgreSQL."""
