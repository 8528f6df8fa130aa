"""Encoding of windows, JSON and user hashes for the database. Independent of SQL."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from core.history import EMPTY_HISTORY, History

LITTLE_INT64 = np.dtype("<i8")


def pack_history(history: History) -> bytes:
    """All item keys, then all times, as little-endian 64-bit integers: decoded without a loop."""
    return np.concatenate([history.items, history.times_ms]).astype(LITTLE_INT64, copy=False).tobytes()


def unpack_history(packed: bytes) -> History:
    """The inverse of `pack_history`."""
    if not packed:
        return EMPTY_HISTORY
    values = np.frombuffer(packed, LITTLE_INT64)
    half = len(values) // 2
    return History(values[:half], values[half:])


def pack_json(value: object) -> str:
    """Compact ASCII JSON: escaped control characters and lone surrogates are valid text in every database."""
    return json.dumps(value, separators=(",", ":"))


def unpack_json(packed: str) -> Any:
    """The inverse of `pack_json`."""
    return json.loads(packed)


def pack_context(context: Mapping[str, Any] | None) -> str | None:
    """The context of an event as JSON; None if it has no context."""
    return None if context is None else pack_json(context)


def user_hash(secret: bytes, user_id: str) -> bytes:
    """The keyed hash of an erased user: without the secret, an id cannot be tested against it."""
    return hashlib.blake2b(user_id.encode(), key=secret, digest_size=16).digest()
