"""Marks: which saved states were made from this database, by random names in its metadata.

A database that was restored to an earlier time lacks the mark of what was saved later; one that has it holds all that
was committed before.
"""

from __future__ import annotations

import secrets

from core.ports.store import ReadTransaction, Transaction

NUM_MARKS = 32  # of the newest states of a kind, of all machines that share the database


def has_mark(read: ReadTransaction, kind: str, mark: str) -> bool:
    """Whether the database has the mark."""
    return mark in _marks(read, kind)


def add_mark(tx: Transaction, kind: str) -> str:
    """Add a new mark; one process after the other."""
    tx.items.lock_revision()
    mark = secrets.token_hex(8)
    tx.metadata.save({kind: " ".join([*_marks(tx, kind), mark][-NUM_MARKS:])})
    return mark


def remove_marks(tx: Transaction, kind: str) -> None:
    """Remove all of a kind: nothing that was saved is true of the database after this transaction."""
    tx.items.lock_revision()  # a mark is added before it, or by one who sees what the transaction changed
    if kind in tx.metadata.all():
        tx.metadata.save({kind: ""})


def _marks(read: ReadTransaction, kind: str) -> list[str]:
    return read.metadata.all().get(kind, "").split()
