"""Kafka clients: producers, the admin client, and Faust's consumer."""
