"""Drift of everybody's interest: what ingest counts for it, how samples are scored, and what is made of both.

Independent of databases, detectors' libraries or HTTP.
"""
