"""User snapshots: the user state that an answer needs, read by one statement and kept while it is unchanged.

Each read asks the store for the user's sequence number. A kept state is used only if it has that number, so that it is
exactly as current as the store, whichever process wrote last.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from core.arrays import IntArray
from core.events.hidden_items import HiddenItems
from core.ports.store import ReadTransaction
from core.records.stored import UserSnapshot, UserState

ENTRY_OVERHEAD_BYTES = 1_500  # the records, seven array headers and the dictionary slot


@dataclass(frozen=True, slots=True)
class CurrentUser:
    """A user at the moment of a request. `hidden`: keys of the items ruled out, see `HiddenItems`."""

    snapshot: UserSnapshot
    hidden: IntArray

    @property
    def state(self) -> UserState:
        """Sequence and window."""
        return self.snapshot.state


class UserSnapshots:
    """The most recently read users, bounded in bytes; thread-safe."""

    def __init__(self, *, max_mib: float) -> None:
        self._max_bytes = int(max_mib * 2**20)
        self._bytes = 0
        self._kept: OrderedDict[tuple[str, tuple[int, ...]], CurrentUser] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def read(self, read: ReadTransaction, user_id: str, rule: HiddenItems) -> tuple[int, CurrentUser | None]:
        """The item revision and the user at this moment; None for an unknown user."""
        key = (user_id, rule.codes)
        known = self._kept.get(key)
        revision, snapshot = read.users.snapshot(
            user_id, type_codes=rule.codes, known=known.snapshot if known else None
        )
        if snapshot is None:
            user = None
        elif known is not None and snapshot is known.snapshot:
            user = known
        else:
            user = CurrentUser(snapshot, rule.of(snapshot.item_types))
        with self._lock:
            self._keep(key, user)
        return revision, user

    def _keep(self, key: tuple[str, tuple[int, ...]], user: CurrentUser | None) -> None:
        known = self._kept.pop(key, None)
        if known is not None:
            self._bytes -= _size(known)
        if user is not None:
            self._kept[key] = user
            self._bytes += _size(user)
        while self._bytes > self._max_bytes and self._kept:
            self._bytes -= _size(self._kept.popitem(last=False)[1])


def _size(user: CurrentUser) -> int:
    history, item_types = user.state.window.history, user.snapshot.item_types
    return ENTRY_OVERHEAD_BYTES + sum(a.nbytes for a in (history.items, history.times_ms, item_types, user.hidden))
