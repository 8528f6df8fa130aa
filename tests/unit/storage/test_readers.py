"""Readers: connections for single queries are used again, one thread at a time, and never after an error."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import StoreUnavailable
from storage.readers import KEPT, Readers, SingleQueries


class CountedConnection:
    """A connection that notes how it ended."""

    def __init__(self) -> None:
        self.ended = ""

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def invalidate(self) -> None:
        self.ended = self.ended or "invalidated"


class MadeReader:
    """A reader that is itself what a `with` block gets."""

    def __init__(self) -> None:
        self.connection = CountedConnection()
        self.transaction = self


class Opened:
    """Readers, all that were made, and the connections that were lost."""

    def __init__(self) -> None:
        self.made: list[MadeReader] = []
        self.lost: list[object] = []
        self.readers = Readers(self._make, lambda connection, _: self.lost.append(connection))

    def _make(self) -> Any:
        self.made.append(MadeReader())
        return self.made[-1]

    def use(self) -> Any:
        return SingleQueries(self.readers)

    def ends(self) -> list[str]:
        return [reader.connection.ended for reader in self.made]


def test_one_query_after_another_uses_the_same_connection() -> None:
    opened = Opened()
    for _ in range(3):
        with opened.use() as read:
            assert read is opened.made[0]
    assert opened.ends() == [""]


def test_queries_at_once_have_connections_of_their_own_and_some_are_kept() -> None:
    opened = Opened()
    blocks = [opened.use() for _ in range(KEPT + 2)]
    assert len({id(block.__enter__()) for block in blocks}) == KEPT + 2
    for block in blocks:
        block.__exit__(None, None, None)
    assert opened.ends() == [""] * KEPT + ["closed"] * 2


def test_a_connection_is_not_used_again_after_an_error() -> None:
    opened = Opened()
    with pytest.raises(KeyError), opened.use():
        raise KeyError
    with opened.use():
        pass
    assert (opened.ends(), opened.lost) == (["closed", ""], [])


def test_the_store_is_told_of_a_connection_that_may_be_lost() -> None:
    opened = Opened()
    lost = StoreUnavailable("the server is gone")
    with pytest.raises(StoreUnavailable), opened.use():
        raise lost
    assert opened.lost == [opened.made[0].connection]


def test_closing_ends_the_connections_that_nobody_uses() -> None:
    opened = Opened()
    with opened.use():
        with opened.use():
            pass
        opened.readers.close()
        assert opened.ends() == ["", "invalidated"]
