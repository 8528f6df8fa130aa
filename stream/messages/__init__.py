"""What the bytes of one Kafka message mean."""
