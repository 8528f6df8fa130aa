"""Event ids of rows without one: a hash of the file's name and the row's content, and its ordinal among equal rows."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

from core.events.interactions import Interaction
from core.imports.row_ordinals import RowOrdinals


class EventNames:
    """Names the events of one file. `source_name`: its name without folders and compression."""

    def __init__(self, source_name: str) -> None:
        key = hashlib.blake2b(source_name.encode(errors="surrogateescape")).digest()
        self._keyed = hashlib.blake2b(key=key, digest_size=16)
        self._ordinals = RowOrdinals()

    def name(self, events: Sequence[Interaction]) -> None:
        """Set the event ids of the next events of the file."""
        digests = _digests(self._keyed, events)
        for event, digest, ordinal in zip(events, digests, self._ordinals.ordinals(digests), strict=True):
            event.event_id = f"f:{digest.hex()}:{ordinal}"


def fingerprints(events: Sequence[Interaction], sizes: Collection[int]) -> dict[int, str]:
    """Hashes of the content of the first `size` events in their order, by size; of sizes that there are events for."""
    so_far, hashes = hashlib.blake2b(digest_size=16), dict[int, str]()
    digests = _digests(hashlib.blake2b(digest_size=16), events[: max(sizes, default=0)])
    for size, digest in enumerate(digests, start=1):
        so_far.update(digest)
        if size in sizes:
            hashes[size] = so_far.hexdigest()
    return hashes


def _digests(start: hashlib.blake2b, events: Sequence[Interaction]) -> list[bytes]:
    """The hash of each event's content, continued from `start`: a copy takes half the time of a new keyed hash."""
    digests = []
    for e in events:
        content = start.copy()
        content.update(f"{e.user_id}\x1f{e.item_id}\x1f{e.type}\x1f{e.time_ms}\x1f{e.value}".encode())
        digests.append(content.digest())
    return digests
