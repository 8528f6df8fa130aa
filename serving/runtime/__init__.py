"""The threads and queues behind the routes. Knows no HTTP types."""
