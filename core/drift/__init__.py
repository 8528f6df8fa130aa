"""Drift monitoring of all users: counting in ingest, scoring of sampled events, signals and alarms.

Independent of databases, detector libraries and HTTP.
"""
