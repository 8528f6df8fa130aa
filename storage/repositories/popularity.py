"""Decayed popularity, in rows per writer and item, so that writers never wait for each other.

A log (`writer_log`) names the items that each commit changed; its oldest rows are deleted now and then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Select, delete, select
from sqlalchemy.sql.elements import CompilerElement

from core.arrays import DoubleArray, IntArray
from core.popularity import PopularityChanges, subtract_log2
from core.ports.offsets import CORRECTIONS
from storage.dialects import Dialect, Row
from storage.repositories.writer_log import WriterLog
from storage.session import Session
from storage.tables import popularity, popularity_changes, writer_offsets

LOG = WriterLog(popularity_changes)
PACKED_KEY = np.dtype("<i8")
RECENT_ROWS = 1024  # of a writer, which are kept for readers


def _add(dialect: Dialect) -> CompilerElement:
    insert = dialect.insert(popularity, "writer_key", "item_key", "score")
    sums = {"score": dialect.add_log2(popularity.c.score, insert.excluded.score)}
    return insert.on_conflict_do_update(index_elements=["writer_key", "item_key"], set_=sums)


def _scores(dialect: Dialect) -> Select[Any]:
    """With a third column: whether the row is of the writer of corrections."""
    corrections = select(writer_offsets.c.key).where(writer_offsets.c.stream == CORRECTIONS).scalar_subquery()
    return select(popularity.c.item_key, popularity.c.score, popularity.c.writer_key == corrections)


def _of_items(dialect: Dialect) -> CompilerElement:
    """By the primary key, whose first column is the writer."""
    of_writers = popularity.c.writer_key.in_(select(writer_offsets.c.key))
    return _scores(dialect).where(of_writers, dialect.is_in(popularity.c.item_key, "item_keys"))


def _clear(dialect: Dialect) -> CompilerElement:
    return delete(popularity)


class PopularityRepository:
    """`core.ports.popularity.PopularityRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, writer_key: int, scores: Mapping[int, float]) -> None:
        """Add decayed log2 counts to those of this writer, in ascending item key."""
        if scores:
            item_keys = sorted(scores)
            self._session.write(_add, [(writer_key, int(item_key), float(scores[item_key])) for item_key in item_keys])
            LOG.add(self._session, writer_key, np.array(item_keys, PACKED_KEY).tobytes())

    def scores(self) -> tuple[IntArray, DoubleArray]:
        """Item keys and decayed log2 counts, summed over all writers (the counts, not their logarithms)."""
        return _summed(self._session.rows(_scores))

    def scores_of(self, item_keys: IntArray) -> tuple[IntArray, DoubleArray]:
        """The same of these items."""
        return _summed(self._session.rows(_of_items, item_keys=self._session.array(item_keys.tolist())))

    def since(self, position: Mapping[int, int] | None) -> PopularityChanges:
        """The scores that changed after a position; None: all."""
        rows = LOG.since(self._session, position)
        if rows.restarted:
            return PopularityChanges(*self.scores(), rows.position, restarted=True)
        changed = np.unique(np.frombuffer(rows.content, PACKED_KEY)).astype(np.int64)
        scores = self.scores_of(changed) if len(changed) else (changed, np.empty(0))
        return PopularityChanges(*scores, rows.position, restarted=False)

    def compact(self, writer_key: int) -> None:
        """Delete the older rows of a locked writer's log."""
        key = LOG.newest_old_key(self._session, writer_key, num_recent=RECENT_ROWS)
        if key is not None:
            LOG.delete_until(self._session, writer_key, key)

    def clear(self) -> None:
        """Delete all scores."""
        self._session.run(_clear)
        LOG.clear(self._session)


def _summed(rows: Sequence[Row]) -> tuple[IntArray, DoubleArray]:
    """The sums by item; those of the writer of corrections are subtracted."""
    keys, indices = np.unique(np.fromiter((row[0] for row in rows), np.int64, len(rows)), return_inverse=True)
    scores = np.fromiter((row[1] for row in rows), np.float64, len(rows))
    is_correction = np.fromiter((bool(row[2]) for row in rows), np.bool_, len(rows))
    sums, taken_back = np.full((2, len(keys)), -np.inf)
    np.logaddexp2.at(sums, indices[~is_correction], scores[~is_correction])
    if not is_correction.any():
        return keys, sums
    np.logaddexp2.at(taken_back, indices[is_correction], scores[is_correction])
    return keys, subtract_log2(sums, taken_back)
