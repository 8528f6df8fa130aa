"""Batches as producers write them, read back by the client's own classes in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from stream.kafka import unpacking
from stream.kafka.unpacking import bound_unpacking

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
COMPRESSED = ("gzip", "snappy", "lz4", "zstd")
LIMIT = 2**20
PARTITION = TopicPartition("interactions", 0)


@pytest.fixture(autouse=True)
def _bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "PartitionRecords", fetcher.PartitionRecords)  # undone afterwards
    monkeypatch.setattr(unpacking, "MAX_BATCH_BYTES", LIMIT)
    bound_unpacking()


def batch(values: list[bytes], *, codec: str, first: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=CODECS[codec],
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=2**30,
    )
    for index, value in enumerate(values):
        assert builder.append(index, timestamp=1_700_000_000_000, key=b"ann", value=value, headers=[]) is not None
    packed = bytes(builder.build())
    return first.to_bytes(8) + packed[8:]  # the base offset, which the checksum leaves out


def response(*batches: bytes) -> fetcher.PartitionRecords:
    records = MemoryRecords(b"".join(batches))
    return fetcher.PartitionRecords(PARTITION, records, [], 0, None, None, True, fetcher.READ_UNCOMMITTED)


@pytest.mark.parametrize("codec", CODECS)
def test_what_producers_compress_is_read_as_it_was(codec: str) -> None:
    values = [bytes([number]) * 3_000 for number in range(100)]
    read = list(response(batch(values, codec=codec), batch([b"more"], codec=codec, first=100)))
    assert [record.value for record in read] == [*values, b"more"]
    assert [record.offset for record in read] == list(range(101))
    assert read[0].timestamp == 1_700_000_000_000


@pytest.mark.parametrize("codec", COMPRESSED)
def test_a_batch_as_large_as_allowed_is_read(codec: str) -> None:
    [record] = response(batch([b"x" * (LIMIT - 100)], codec=codec))
    assert len(record.value) == LIMIT - 100


@pytest.mark.parametrize("codec", COMPRESSED)
def test_a_larger_batch_is_a_message_that_says_so_and_the_rest_is_read(codec: str) -> None:
    bomb = batch([b"x" * LIMIT, b"small"], codec=codec, first=1)
    read = response(batch([b"before"], codec=codec), bomb, batch([b"after"], codec=codec, first=3))
    records = list(read)
    assert [record.offset for record in records] == [0, 1, 3]
    assert records[1].value == (
        b"a batch of offsets 1 to 2 that cannot be unpacked: it unpacks to more than 1 MiB; send smaller batches"
    )
    assert [records[0].value, records[2].value] == [b"before", b"after"]
    assert read.next_fetch_offset == 4


def test_a_larger_batch_at_the_end_is_not_fetched_again() -> None:
    read = response(batch([b"x" * (LIMIT + 1)] * 3, codec="zstd"))
    assert [record.offset for record in read] == [0]
    assert read.next_fetch_offset == 3


@pytest.mark.parametrize("codec", COMPRESSED)
def test_a_damaged_batch_is_a_message_that_says_so(codec: str) -> None:
    packed = batch([bytes(range(256)) * 100], codec=codec)
    broken = packed[:64] + bytes(len(packed) - 64)  # behind the header and the first bytes
    read = fetcher.PartitionRecords(PARTITION, MemoryRecords(broken), [], 0, None, None, False, 0)
    [record] = read
    assert record.value.startswith(b"a batch of offsets 0 to 0 that cannot be unpacked: ")
    assert read.next_fetch_offset == 1


@pytest.mark.parametrize("blocks", [1, 5])
def test_snappy_in_blocks_is_counted_as_a_whole(blocks: int) -> None:
    from aiokafka.codec import snappy_encode

    small = snappy_encode(b"x" * (LIMIT // 5 * blocks), xerial_blocksize=LIMIT // 5)
    assert unpacking.snappy(small) == b"x" * (LIMIT // 5 * blocks)
    with pytest.raises(unpacking.UnpackingError, match="more than 1 MiB"):
        unpacking.snappy(snappy_encode(b"x" * (LIMIT + 1)))


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4"])
def test_older_formats_are_bounded_too(codec: str) -> None:
    def packed(num_bytes: int) -> bytes:
        builder = LegacyRecordBatchBuilder(magic=1, compression_type=CODECS[codec], batch_size=2**30)
        assert builder.append(0, timestamp=1, key=None, value=b"x" * num_bytes) is not None
        return bytes(builder.build())

    [read] = response(packed(1_000))
    assert read.value == b"x" * 1_000
    [refused] = response(packed(LIMIT))
    assert b"more than 1 MiB" in refused.value


def test_a_response_is_read_until_enough_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_RESPONSE_BYTES", 2_500)
    batches = [batch([b"x" * 1_000] * 2, codec="zstd", first=2 * number) for number in range(10)]
    read = response(*batches)
    assert [record.offset for record in read] == [0, 1, 2, 3]
    assert read.next_fetch_offset == 4, "the client fetches the others again"


def test_gzip_of_several_members_is_read_to_its_end(pack: Callable[[bytes], bytes]) -> None:
    parts = [b"a" * 1_000, b"b" * 1_000]
    assert unpacking.gzip(b"".join(map(pack, parts))) == bytes(chain.from_iterable(parts))
    with pytest.raises(unpacking.UnpackingError, match="breaks off"):
        unpacking.gzip(pack(b"a" * 1_000)[:-4])


@pytest.fixture
def pack() -> Callable[[bytes], bytes]:
    import gzip

    return gzip.compress
