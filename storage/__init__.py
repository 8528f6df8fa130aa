"""Databases: the only package that knows SQLAlchemy. Implements the `Store` of `core.ports` on SQLite and PostgreSQL.

Knows nothing about models, indexes, HTTP or Kafka. Importing it opens nothing; `open_store` does.
"""

from storage.store import SqlStore, open_store

__all__ = ["SqlStore", "open_store"]
