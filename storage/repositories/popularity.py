"""Decayed popularity, in rows per writer and item, so that writers never wait for each other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, select
from sqlalchemy.sql.elements import CompilerElement

from core.arrays import IntArray
from storage.dialects import Dialect
from storage.session import Session
from storage.tables import popularity


def _add(dialect: Dialect) -> CompilerElement:
    insert = dialect.insert(popularity, "writer_key", "item_key", "score")
    sums = {"score": dialect.add_log2(popularity.c.score, insert.excluded.score)}
    return insert.on_conflict_do_update(index_elements=["writer_key", "item_key"], set_=sums)


def _all(dialect: Dialect) -> CompilerElement:
    return select(popularity.c.item_key, popularity.c.score)


def _clear(dialect: Dialect) -> CompilerElement:
    return delete(popularity)


class PopularityRepository:
    """`core.ports.popularity.PopularityRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, writer_key: int, scores: Mapping[int, float]) -> None:
        """Add decayed log2 counts to those of this writer, in ascending item key."""
        self._session.write(_add, [(writer_key, int(item_key), float(scores[item_key])) for item_key in sorted(scores)])

    def scores(self) -> tuple[IntArray, NDArray[np.float64]]:
        """Item keys and decayed log2 counts, summed over all writers (the counts, not their logarithms)."""
        rows = self._session.rows(_all)
        keys, indices = np.unique(np.fromiter((row[0] for row in rows), np.int64, len(rows)), return_inverse=True)
        sums = np.full(len(keys), -np.inf)
        np.logaddexp2.at(sums, indices, np.fromiter((row[1] for row in rows), np.float64, len(rows)))
        return keys, sums

    def clear(self) -> None:
        """Delete all scores."""
        self._session.run(_clear)
