"""The content of Kafka messages: decoding, field mapping, partitioning. Independent of any Kafka client."""
