"""Requests, replies, guards, keys, the server: everything about HTTP that is not a route."""
