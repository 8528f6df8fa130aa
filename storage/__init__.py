"""Storage: implements the `Store` of `core.ports` on SQLite and PostgreSQL. The only package that imports SQLAlchemy.

Independent of models, indexes, HTTP and Kafka. Importing it opens no connection; `open_store` does.
"""

from storage.store import SqlStore, open_store

__all__ = ["SqlStore", "open_store"]
