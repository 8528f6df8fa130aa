"""The threads and queues behind the routes. Independent of HTTP types."""
