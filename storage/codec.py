"""How windows, JSON and user hashes look inside the database. Knows nothing about SQL."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from core.history import EMPTY_HISTORY, History

LITTLE_INT64 = np.dtype("<i8")


def pack_history(history: History) -> bytes:
    """All item keys, then all times, each eight bytes, little-endian: read back without a loop."""
    return np.concatenate([history.items, history.times_ms]).astype(LITTLE_INT64, copy=False).tobytes()


def unpack_history(packed: bytes) -> History:
    """The inverse of `pack_history`."""
    if not packed:
        return EMPTY_HISTORY
    values = np.frombuffer(packed, LITTLE_INT64)
    half = len(values) // 2
    return History(values[:half], values[half:])


def pack_json(value: object) -> str:
    """Compact ASCII JSON: control characters and lone surrogates are escaped, so that every database takes it."""
    return json.dumps(value, separators=(",", ":"))


def unpack_json(packed: str) -> Any:
    """The inverse of `pack_json`."""
    return json.loads(packed)


def pack_context(context: Mapping[str, Any] | None) -> str | None:
    """The context of an event; most have none."""
    return None if context is None else pack_json(context)


def user_hash(secret: bytes, user_id: str) -> bytes:
    """What stays of an erased user: without the secret nobody can test whether an id was here."""
    return hashlib.blake2b(user_id.encode(), key=secret, digest_size=16).digest()
