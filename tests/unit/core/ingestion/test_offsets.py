"""What moving an offset by hand means, and that it never overtakes a worker."""

from __future__ import annotations

from dataclasses import replace

import pytest
from doubles import MemoryStore

from core.errors import PartitionLost
from core.events.history import WindowShape
from core.events.interactions import EventTypes
from core.ingestion.ingest import Ingestor
from core.ingestion.offsets import PartitionPosition, adopt_log, move_offset
from core.ingestion.sources import StreamSource

FITS = PartitionPosition("interactions", 0, applied=41, log_start=10, log_end=100)


@pytest.mark.parametrize(
    ("position", "problem"),
    [
        (FITS, None),
        (replace(FITS, applied=None), None),
        (replace(FITS, log_start=42), None),
        (replace(FITS, log_end=42), None),
        (replace(FITS, log_start=45), "3 offsets were deleted before they were applied"),
        (replace(FITS, log_end=41), "the log ends at 41: it is not the log that the database has read"),
    ],
)
def test_problem_says_why_log_and_database_do_not_match(position: PartitionPosition, problem: str | None) -> None:
    assert position.problem == problem


@pytest.mark.parametrize(
    ("position", "to", "consequence"),
    [
        (FITS, 42, "nothing is skipped, and nothing is read again"),
        (FITS, 100, "58 offsets that the log holds are never applied"),
        (FITS, 10, "32 offsets are read again (what was applied counts once, by its event id)"),
        (replace(FITS, log_start=45), 45, "3 offsets that the log no longer holds are skipped"),
        (
            replace(FITS, log_start=45),
            50,
            "3 offsets that the log no longer holds are skipped; 5 offsets that the log holds are never applied",
        ),
        (replace(FITS, log_start=0, log_end=7), 0, "7 offsets are read again (what was applied counts once, by"),
        (replace(FITS, log_start=0, log_end=7), 7, "nothing is skipped, and nothing is read again"),
    ],
)
def test_consequence_names_skipped_and_repeated_offsets(position: PartitionPosition, to: int, consequence: str) -> None:
    assert position.consequence(to).startswith(consequence)


def ingestor(store: MemoryStore) -> Ingestor:
    return Ingestor(store, types=EventTypes(), shape=WindowShape(8, 4))


def applied(store: MemoryStore) -> dict[int, int]:
    with store.read() as read:
        return read.offsets.applied("interactions")


def test_moved_offset_fences_off_a_worker() -> None:
    store = MemoryStore()
    worker = ingestor(store)
    worker.ingest([], StreamSource("interactions", 0, [], 0, 41))
    move_offset(store, FITS, to=10)
    assert applied(store) == {0: 9}
    with pytest.raises(PartitionLost):
        worker.ingest([], StreamSource("interactions", 0, [], 42, 50))
    assert worker.applied_offset("interactions", 0) == 9


def test_offset_moved_by_a_worker_meanwhile_is_not_changed() -> None:
    store = MemoryStore()
    ingestor(store).ingest([], StreamSource("interactions", 0, [], 0, 50))
    with pytest.raises(PartitionLost, match="was 41 and is now 50: a worker reads"):
        move_offset(store, FITS, to=10)
    assert applied(store) == {0: 50}


def test_a_partition_that_was_never_read_can_be_moved_too() -> None:
    store = MemoryStore()
    move_offset(store, replace(FITS, applied=None), to=100)
    assert applied(store) == {0: 99}


def test_offsets_are_forgotten_where_their_log_was_made_anew() -> None:
    store = MemoryStore()
    worker = ingestor(store)
    worker.ingest([], StreamSource("interactions", 0, [], 0, 41))
    worker.ingest([], StreamSource("others", 0, [], 0, 7))
    assert [adopt_log(store, "interactions", log_id) for log_id in ("first", "first")] == [False, False]
    assert applied(store) == {0: 41}
    assert adopt_log(store, "interactions", "second")
    assert applied(store) == {}
    assert not adopt_log(store, "interactions", "second")
    with store.read() as read:
        assert read.offsets.applied("others") == {0: 7}


def test_a_new_log_fences_off_a_worker_of_the_old_one() -> None:
    store = MemoryStore()
    worker = ingestor(store)
    adopt_log(store, "interactions", "first")
    worker.ingest([], StreamSource("interactions", 0, [], 0, 41))
    ingestor(store).adopt_log("interactions", "second")
    with pytest.raises(PartitionLost):
        worker.ingest([], StreamSource("interactions", 0, [], 42, 50))
