"""Encoding of windows, JSON and user hashes for the database. Independent of SQL."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.events.history import EMPTY_HISTORY, History

LITTLE_INT64 = np.dtype("<i8")
KEY_BYTES = 4  # of an item in an answer: a database has fewer than 4 billion
LITTLE_FLOAT32 = np.dtype("<f4")


def pack_history(history: History) -> bytes:
    """All item keys, then all times, as little-endian 64-bit integers: decoded without a loop."""
    items = history.items.astype(LITTLE_INT64, copy=False).tobytes()
    return items + history.times_ms.astype(LITTLE_INT64, copy=False).tobytes()


def unpack_history(packed: bytes) -> History:
    """The inverse of `pack_history`."""
    if not packed:
        return EMPTY_HISTORY
    values = np.frombuffer(packed, LITTLE_INT64)
    half = len(values) // 2
    return History(values[:half], values[half:])


def pack_keys(keys: Sequence[int]) -> bytes:
    """Item keys as little-endian unsigned 32-bit integers."""
    return struct.pack(f"<{len(keys)}I", *keys)


def unpack_keys(packed: bytes) -> tuple[int, ...]:
    """The inverse of `pack_keys`. By `struct`: for ten keys numpy takes four times as long."""
    return struct.unpack(f"<{len(packed) // KEY_BYTES}I", packed)


def pack_numbers(numbers: Sequence[float] | None) -> bytes | None:
    """Numbers as little-endian float32."""
    return None if numbers is None else np.array(numbers, LITTLE_FLOAT32).tobytes()


def unpack_numbers(packed: bytes | None) -> tuple[float, ...] | None:
    """The inverse of `pack_numbers`, to the precision of a float32."""
    return None if packed is None else tuple(np.frombuffer(packed, LITTLE_FLOAT32).tolist())


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
