"""Unpacks Kafka's compressed batches in bounded memory: what is larger, or damaged, is a message that says so.

A batch of a few kilobytes may unpack to gigabytes (zstd packs 72 MiB into 2.6 KB). The client unpacks whole batches, so
a worker that has too little memory for one is killed, starts again and meets the same batch. Such a batch is handed
over as one message at its first offset, whose value is the reason, which becomes a dead letter; its other offsets are
skipped. A response is read only until `MAX_RESPONSE_BYTES` are unpacked; the client fetches the rest again.
Independent of Faust and of what messages mean.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import cramjam
from aiokafka.codec import snappy_decode
from aiokafka.consumer import fetcher
from aiokafka.structs import ConsumerRecord

logger = logging.getLogger(__name__)

MAX_BATCH_BYTES = 64 * 2**20  # a producer's batch has a mebibyte by default, packed or not
MAX_RESPONSE_BYTES = 16 * 2**20  # of one partition, and the rest of the batch that exceeds it
FIRST_BYTES, TIMES = 2**16, 8  # guesses of the size of what is unpacked: 64 KiB, then 8 times as much
XERIAL_HEADER = b"\x82SNAPPY\0"  # snappy in blocks, as Java's producers write it: each with its packed length before it
XERIAL_BEGIN = 16  # the first block
# Where the client has imported its decoders: in its compiled modules, or in those that replace them.
RECORDS = tuple(
    f"aiokafka.record.{part}{name}_records" for part in ("_crecords.", "") for name in ("default", "legacy")
)

Unpack = Callable[[Any, bytearray], int]


class UnpackingError(Exception):
    """A batch that cannot be unpacked."""


def gzip(payload: Any) -> bytes:
    """Unpack all members of a gzip stream."""
    unpacked, rest = bytearray(), bytes(payload)
    try:
        while rest:
            member = zlib.decompressobj(wbits=zlib.MAX_WBITS + 16)
            unpacked += member.decompress(rest, MAX_BATCH_BYTES + 1 - len(unpacked))
            if len(unpacked) > MAX_BATCH_BYTES:
                raise _too_large()
            if not member.eof:
                msg = "its gzip stream breaks off"
                raise UnpackingError(msg)
            rest = member.unused_data
    except zlib.error as error:
        raise UnpackingError(str(error)) from error
    return bytes(unpacked)


def zstd(payload: Any) -> bytes:
    """Unpack a zstd frame."""
    return _unpacked(cramjam.zstd.decompress_into, payload)


def lz4(payload: Any) -> bytes:
    """Unpack an lz4 frame."""
    return _unpacked(cramjam.lz4.decompress_into, payload)


def snappy(payload: Any) -> bytes:
    """Unpack snappy, which begins with its length, in blocks or not."""
    packed = bytes(payload)
    try:
        if packed.startswith(XERIAL_HEADER):
            num_bytes, begin = 0, XERIAL_BEGIN
            while begin < len(packed):
                end = begin + 4 + int.from_bytes(packed[begin : begin + 4])
                num_bytes += cramjam.snappy.decompress_raw_len(packed[begin + 4 : end])
                begin = end
        else:
            num_bytes = cramjam.snappy.decompress_raw_len(packed)
        if num_bytes > MAX_BATCH_BYTES:
            raise _too_large()
        return bytes(snappy_decode(packed))
    except cramjam.DecompressionError as error:
        raise UnpackingError(str(error)) from error


BOUNDED: dict[str, Callable[[Any], bytes]] = {
    "gzip_decode": gzip,
    "snappy_decode": snappy,
    "lz4_decode": lz4,
    "zstd_decode": zstd,
}


def _unpacked(unpack: Unpack, payload: Any) -> bytes:
    """Into a buffer of a guessed size, which grows while it is too small: unused memory would still be cleared."""
    num_bytes = max(FIRST_BYTES, TIMES * len(payload))
    while True:
        buffer = bytearray(min(num_bytes, MAX_BATCH_BYTES))
        try:
            return bytes(memoryview(buffer)[: unpack(payload, buffer)])
        except cramjam.DecompressionError as error:
            if "whole buffer" not in str(error):
                raise UnpackingError(str(error)) from error
            if num_bytes >= MAX_BATCH_BYTES:
                raise _too_large() from error
        num_bytes *= TIMES


def _too_large() -> UnpackingError:
    return UnpackingError(f"it unpacks to more than {MAX_BATCH_BYTES // 2**20} MiB; send smaller batches")


class _Batches:
    """The batches of a response; `newest`: the one that was read last."""

    def __init__(self, batches: Any) -> None:
        self._batches = batches
        self.newest: Any = None
        self.is_ended = False

    def has_next(self) -> bool:
        return not self.is_ended and self._batches.has_next()

    def next_batch(self) -> Any:
        self.newest = self._batches.next_batch()
        return self.newest


class BoundedRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # no types
    """The records of one partition in a response."""

    next_fetch_offset: int

    def __init__(self, tp: Any, records: Any, *more: Any) -> None:
        self._batches, self._num_bytes = _Batches(records), 0
        super().__init__(tp, self._batches, *more)

    def __next__(self) -> ConsumerRecord:
        """The next message."""
        try:
            record: ConsumerRecord = super().__next__()
        except UnpackingError as error:
            return self._unreadable(str(error))
        self._num_bytes += max(0, record.serialized_value_size)
        # the client has unpacked this batch: its other messages are no more memory
        self._batches.is_ended = self._num_bytes > MAX_RESPONSE_BYTES
        return record

    def _unreadable(self, reason: str) -> ConsumerRecord:
        """A message in the place of the newest batch; what follows the batch is read on."""
        batch, tp = self._batches.newest, self._tp
        end: int = batch.next_offset
        begin = getattr(batch, "base_offset", self.next_fetch_offset)  # formats before Kafka 0.11 have none
        offset = max(self.next_fetch_offset, begin)
        logger.error("%s/%s@%s to %s: not unpacked: %s", tp.topic, tp.partition, offset, end - 1, reason)
        self.next_fetch_offset = end
        self._records_iterator = self._unpack_records()
        value = f"a batch of offsets {offset} to {end - 1} that cannot be unpacked: {reason}".encode()
        return ConsumerRecord(tp.topic, tp.partition, offset, None, None, None, value, None, -1, len(value), ())


def bound_unpacking() -> None:
    """Have the Kafka clients of this process unpack in bounded memory; again has no effect."""
    fetcher.PartitionRecords = BoundedRecords
    for name in RECORDS:
        if find_spec(name) is None:
            continue
        module = import_module(name)
        for decoder, bounded in BOUNDED.items():
            if hasattr(module, decoder):
                setattr(module, decoder, bounded)
