"""Prometheus metrics of processes without an API."""
