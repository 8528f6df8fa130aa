"""PostgreSQL's binary format of arrays, for parameters of integers and bytes: a tenth of the driver's time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any

import numpy as np

HEAD = Struct("!iIIii")  # the number of dimensions, whether it holds NULL, the type of elements, their number, 1
SIZE = Struct("!i")
INTEGER = np.dtype([("size", ">i4"), ("value", ">i8")])
BIGINT, BYTEA = (20, 1016), (17, 1001)  # the types of an element and of an array


class PackedIntegers(bytes):
    """An array of 64-bit integers."""


class PackedBytes(bytes):
    """An array of byte strings."""


def packed(values: Sequence[Any]) -> Any:
    """The values as an array; a list, which the driver packs, of other types and where some are None."""
    pack = PACKERS.get(type(values[0])) if values else None
    if pack is None:
        return list(values)
    try:
        return pack(values)
    except TypeError:
        return list(values)


def _integers(values: Sequence[int]) -> PackedIntegers:
    integers = np.array(values)
    if integers.dtype != np.int64:
        raise TypeError
    items = np.empty(len(values), INTEGER)
    items["size"] = 8
    items["value"] = integers
    return PackedIntegers(_head(BIGINT, len(values)) + items.tobytes())


def _bytes(values: Sequence[bytes]) -> PackedBytes:
    parts = [b""] * (2 * len(values))
    parts[::2] = [SIZE.pack(len(value)) for value in values]
    parts[1::2] = values
    return PackedBytes(_head(BYTEA, len(values)) + b"".join(parts))


def _head(types: tuple[int, int], num: int) -> bytes:
    return HEAD.pack(1, 0, types[0], num, 1)


PACKERS: dict[type, Callable[[Sequence[Any]], Any]] = {int: _integers, bytes: _bytes}


def use_packed_arrays(connection: Any, _record: object = None) -> None:
    """Let a connection of the driver take packed arrays as they are."""
    from psycopg.adapt import Dumper
    from psycopg.pq import Format

    class PackedDumper(Dumper):
        format = Format.BINARY

        def dump(self, obj: bytes) -> bytes:
            return obj

    for array, (_, array_oid) in ((PackedIntegers, BIGINT), (PackedBytes, BYTEA)):
        connection.adapters.register_dumper(array, type(array.__name__, (PackedDumper,), {"oid": array_oid}))
