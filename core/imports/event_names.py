"""Event ids of rows without one: a hash of the file's name and the row's content, and its ordinal among equal rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from core.imports.row_ordinals import RowOrdinals
from core.interactions import Interaction


class EventNames:
    """Names the events of one file. `source_name`: its name without folders and compression."""

    def __init__(self, source_name: str) -> None:
        self._key = hashlib.blake2b(source_name.encode(errors="surrogateescape")).digest()
        self._ordinals = RowOrdinals()

    def name(self, events: Sequence[Interaction]) -> None:
        """Set the event ids of the next events of the file."""
        digests = [_digest(event, self._key) for event in events]
        for event, digest, ordinal in zip(events, digests, self._ordinals.ordinals(digests), strict=True):
            event.event_id = f"f:{digest.hex()}:{ordinal}"


def fingerprint(events: Sequence[Interaction]) -> str:
    """A hash of the content of events in their order."""
    return hashlib.blake2b(b"".join(map(_digest, events)), digest_size=16).hexdigest()


def _digest(e: Interaction, key: bytes = b"") -> bytes:
    content = f"{e.user_id}\x1f{e.item_id}\x1f{e.type}\x1f{e.time_ms}\x1f{e.value}"
    return hashlib.blake2b(content.encode(), key=key, digest_size=16).digest()
