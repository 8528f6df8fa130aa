"""Full disks and read-only databases: clear errors, and no acknowledged event is lost."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from oracle import Snapshot, assert_consistent, event_key
from services import without_override
from services.disks import CannotMount, Disk, LimitedFiles, tiny_disk
from services.small_shop import WINDOW_SIZE, WINDOW_STEP
from services.up_process import UpProcess, up

TIME_MS = 1_710_000_000_000
BATCH = 200
ROOM_FOR_EVENTS = 40_000  # by then 16 MiB of log would have been written


@pytest.fixture(params=["the disk is full", "a disk read or write failed"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Disk, Path, str]]:
    """A disk, a folder on it, and the words of the server's error when it is full."""
    folder = tmp_path / "data"
    folder.mkdir()
    with ExitStack() as stack:
        if request.param == "a disk read or write failed":
            yield LimitedFiles(folder), folder, request.param
            return
        try:
            yield stack.enter_context(tiny_disk(folder)), folder, request.param
        except CannotMount as error:
            pytest.skip(str(error))


def batch(number: int) -> list[dict[str, Any]]:
    return [
        {
            "event_id": f"batch-{number}-{index}",
            "user_id": f"user-{index % 50:04d}",
            "item_id": f"item-{index % 30}",
            "type": "view",
            "time": TIME_MS + number * 1000 + index,
        }
        for index in range(BATCH)
    ]


def test_a_full_disk_rejects_events_but_not_reads_and_recovers(
    shop_template: Path, disk: tuple[Disk, Path, str]
) -> None:
    room, folder, words = disk
    shutil.copytree(shop_template, folder, dirs_exist_ok=True)
    acknowledged: list[str] = []
    with up(folder) as (server, url), httpx.Client(base_url=url, timeout=30) as http:
        room.fill(server.pid)
        for number in count():
            response = http.post("/v1/interactions", json={"events": batch(number)})
            if not response.is_success:
                break
            acknowledged += [result["event_id"] for result in response.json()["results"]]
            assert len(acknowledged) < ROOM_FOR_EVENTS, "the disk never got full"
        assert response.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert words in response.json()["error"]["message"]
        assert http.get("/v1/users/user-0001/recommendations").is_success, "a full disk stops no answer"
        assert_stored(folder, acknowledged)

        room.free(server.pid)
        again = http.post("/v1/interactions", json={"events": batch(number)})
        assert again.json()["accepted"] == BATCH, again.text
        acknowledged += [event["event_id"] for event in batch(number)]
        assert_stored(folder, acknowledged)


def assert_stored(folder: Path, event_ids: list[str]) -> None:
    """All of these events are stored, and derived state agrees with them."""
    snapshot = Snapshot(folder / "tidewise.db")
    assert {event_key(event_id) for event_id in event_ids} <= {event.key for event in snapshot.events}
    assert_consistent(snapshot, size=WINDOW_SIZE, step=WINDOW_STEP)


def test_a_read_only_database_is_an_error_at_startup(shop: Path) -> None:
    (shop / "tidewise.db").chmod(0o444)
    server = UpProcess(shop, program=[without_override.__file__])
    server.start()
    assert server.wait(timeout_s=60) == 1, server.log
    assert "error: SQLite: the database is read-only; check the owner and mode" in server.log
    assert "Traceback" not in server.log


def test_a_read_only_data_folder_is_an_error_at_startup(shop: Path) -> None:
    shop.chmod(0o555)
    server = UpProcess(shop, program=[without_override.__file__])
    server.start()
    assert server.wait(timeout_s=60) == 2, server.log
    assert f"error: data.folder: wanted a folder to write to, got {shop} (Permission denied)" in server.log
    assert "Traceback" not in server.log
