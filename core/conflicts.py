"""Conflicts of concurrent writers: a transaction that lost is run again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from core.errors import StoreConflict, StoreUnavailable

T = TypeVar("T")

MAX_CONFLICTS = 8  # a conflict means that another writer succeeded, so this many in a row is a fault


def retried(change: Callable[[], T]) -> T:
    """The result of a change of users, run again where a concurrent writer won; at last raises `StoreUnavailable`."""
    for _ in range(MAX_CONFLICTS):
        try:
            return change()
        except StoreConflict:
            continue
    msg = f"{MAX_CONFLICTS} conflicts in a row while changing a user; send the request again"
    raise StoreUnavailable(msg)
