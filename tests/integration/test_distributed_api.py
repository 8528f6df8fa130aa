"""Two workers and two APIs on a real Kafka and PostgreSQL: what is sent to one API is known to the other.

A killed broker delays events and loses none, also those of a worker and a replay beside them.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any

import httpx
import pytest
from services import postgres
from services.distributed import Distributed, distributed
from services.kafka import KafkaNode, fresh_settings
from services.replays import await_message, log_file, messages_in_topic, result_of, start_replay
from services.streaming import Streaming, assert_counted_once, clicks, sending, streaming
from services.workers import SOUGHT, wait_until

from core.events.interactions import Interaction
from storage import open_store
from stream.kafka.settings import StreamSettings

pytestmark = pytest.mark.timeout(300)  # five processes start on busy cores
USER = "user-1"


@pytest.fixture(scope="module")
def system(
    own_broker: KafkaNode, postgres_server: str, shop_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Distributed]:
    folder = tmp_path_factory.mktemp("distributed") / "data"
    with (
        postgres.fresh_database(postgres_server) as url,
        distributed(own_broker.address, url, folder, shop=shop_template) as system,
    ):
        yield system


def item_ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def test_a_click_sent_to_one_api_changes_the_answer_of_the_other(system: Distributed) -> None:
    first, second = system.apis
    before = second.get(f"/v1/users/{USER}/recommendations").raise_for_status().json()
    clicked = {"event_id": "click-1", "user_id": USER, "item_id": item_ids(before)[0]}
    reply = first.post("/v1/interactions?wait=applied", json=clicked)
    after = second.get(f"/v1/users/{USER}/recommendations").raise_for_status().json()
    assert reply.status_code == 200
    assert reply.json()["results"][0]["status"] == "accepted"
    assert after["user_seq"] == reply.json()["results"][0]["user_seq"]
    assert item_ids(before)[0] not in item_ids(after)


def test_events_of_one_request_are_applied_once_and_in_order(system: Distributed) -> None:
    events = [{"event_id": f"many-{n}", "user_id": f"guest-{n % 7}", "item_id": "item-1"} for n in range(200)]
    reply = system.apis[0].post("/v1/interactions?wait=applied", json={"events": events})
    assert (reply.status_code, reply.json()["accepted"]) == (200, 200)
    of_one = [
        result["user_seq"]
        for result, sent in zip(reply.json()["results"], events, strict=True)
        if sent["user_id"] == "guest-3"
    ]
    assert of_one == list(range(1, len(of_one) + 1))
    again = system.apis[1].post("/v1/interactions?wait=applied", json={"events": events})
    assert again.json()["duplicate"] == 200


def test_without_waiting_the_answer_is_a_position_and_order_is_kept(system: Distributed) -> None:
    first, second = ({"event_id": f"p{n}", "user_id": "pat", "item_id": "item-1"} for n in (1, 2))
    queued = system.apis[0].post("/v1/interactions", json=first)
    applied = system.apis[1].post("/v1/interactions?wait=applied", json=second).json()["results"][0]
    again = system.apis[1].post("/v1/interactions?wait=applied", json=first).json()["results"][0]
    positions = [result["position"] for result in (queued.json()["results"][0], applied, again)]
    assert queued.status_code == 202
    assert {(at["topic"], at["partition"]) for at in positions} == {(system.kafka.topic, positions[0]["partition"])}
    assert [position["offset"] for position in positions] == sorted(position["offset"] for position in positions)
    assert [(result["status"], result["user_seq"]) for result in (applied, again)] == [
        ("accepted", 2),
        ("duplicate", 1),
    ]


def test_each_partition_reports_its_log_end_offset_and_no_lag(system: Distributed) -> None:
    sent = {"event_id": "counted", "user_id": "ida", "item_id": "item-1"}
    position = system.apis[0].post("/v1/interactions?wait=applied", json=sent).json()["results"][0]["position"]
    ingestion = system.apis[1].get("/v1/ingestion").raise_for_status().json()
    partitions = {
        writer["partition"]: writer for writer in ingestion["writers"] if writer["name"] == system.kafka.topic
    }
    assert (ingestion["topic"], ingestion["lag"], ingestion["problem"]) == (system.kafka.topic, 0, None)
    assert sorted(partitions) == list(range(system.kafka.partitions))
    assert partitions[position["partition"]]["applied_offset"] == position["offset"]
    assert partitions[position["partition"]]["log_end_offset"] == position["offset"] + 1


def test_an_applied_click_is_in_the_next_answer_of_the_other_api(system: Distributed) -> None:
    first, second = system.apis
    for number in range(5):
        clicked = {"event_id": f"fast-{number}", "user_id": USER, "item_id": f"item-{number}"}
        sent = first.post("/v1/interactions?wait=applied", json=clicked).json()["results"][0]
        assert second.get(f"/v1/users/{USER}/recommendations").json()["user_seq"] == sent["user_seq"]


@pytest.mark.parametrize("_kill", range(int(os.environ.get("CRASHES", "1"))))
def test_events_acknowledged_by_a_killed_api_count_once(system: Distributed, _kill: int) -> None:
    run = secrets.token_hex(4)
    with system.another_api() as (api, process):
        killer = Timer(0.5, process.kill)
        killer.start()
        acknowledged = _send_until_refused(api, run)
        killer.join()
    last = {"event_id": f"{run}-after", "user_id": f"user-{run}", "item_id": "item-1"}
    applied = system.apis[0].post("/v1/interactions?wait=applied", json=last).json()["results"][0]
    keys = {name: Interaction(name, "u", "i", "click", 0).event_key for name in acknowledged}
    with system.store.read() as read:
        seqs = read.events.sequences(list(keys.values()))
    assert acknowledged
    assert [name for name, key in keys.items() if key not in seqs] == []
    assert sorted(seqs.values()) == sorted(set(seqs.values()))
    assert applied["user_seq"] - 1 in (len(acknowledged), len(acknowledged) + 1)  # one may be in the log, unanswered


def _send_until_refused(api: httpx.Client, run: str) -> list[str]:
    """The ids of the events of one user that were answered, sent one after the other until nobody answers."""
    acknowledged: list[str] = []
    while True:
        name = f"{run}-{len(acknowledged)}"
        try:
            reply = api.post("/v1/interactions", json={"event_id": name, "user_id": f"user-{run}", "item_id": "item-1"})
        except httpx.TransportError:
            return acknowledged
        assert reply.status_code == 202
        acknowledged.append(name)


@dataclass
class Outage:
    """Kafka was killed and restarted while a worker applied events and a replay sent some, and an API was asked."""

    lost: dict[str, str]
    replies: list[tuple[httpx.Response, float]]  # each with its seconds
    answers_still: int
    stream: Streaming
    sent: list[Interaction]
    replayed: StreamSettings
    replay: subprocess.Popen[str]


@pytest.fixture(scope="module")
def outage(
    system: Distributed, own_broker: KafkaNode, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Outage]:
    """One for all who ask about it: each restart of a broker takes seconds."""
    api, lost = system.apis[0], {"event_id": "lost", "user_id": "kim", "item_id": "item-1"}
    events, replayed = clicks(3_000), fresh_settings(own_broker.address, partitions=3)
    folder = tmp_path_factory.mktemp("outage")
    url = f"sqlite:///{shutil.copy(sqlite_template, folder / 'tidewise.db')}"
    with closing(open_store(url)) as store, streaming(own_broker.address, url, store, folder) as stream:
        stream.worker.start()
        wait_until(lambda: SOUGHT in stream.worker.log, stream.worker)
        replay = start_replay(replayed, log_file(folder), "--rate", "100")
        with sending(stream, len(events)):
            stream.await_events(1_000)
            await_message(replayed)
            own_broker.command("kill")
            replies = []
            for _ in range(2):  # the first finds its connection broken, the next finds nobody to connect to
                start_s = time.perf_counter()
                replies.append((api.post("/v1/interactions", json=lost), time.perf_counter() - start_s))
            answers_still = api.get(f"/v1/users/{USER}/recommendations").status_code
            own_broker.command("start")
        yield Outage(lost, replies, answers_still, stream, events, replayed, replay)


def test_events_are_refused_within_two_seconds_while_kafka_is_down(system: Distributed, outage: Outage) -> None:
    assert [reply.status_code for reply, _ in outage.replies] == [503, 503]
    assert all("Kafka" in reply.json()["error"]["message"] or "log" in reply.text for reply, _ in outage.replies)
    assert max(took_s for _, took_s in outage.replies) < 2.5  # 2 s, and what a busy machine adds
    assert outage.answers_still == 200
    assert _accepted_within(system.apis[0], outage.lost, timeout_s=40.0)["user_seq"] == 1


@pytest.mark.slow
def test_a_killed_broker_delays_events_and_a_replay_and_loses_nothing(outage: Outage) -> None:
    outage.stream.await_events(3_000, timeout_s=60.0)
    assert_counted_once(outage.stream.store, outage.sent)
    assert result_of(outage.replay)["events"] == 600
    sent = [
        event["event_id"]
        for messages in messages_in_topic(outage.replayed).values()
        for message in messages
        for event in message
    ]
    assert sorted(sent) == sorted(set(sent))
    assert len(sent) == 600


def _accepted_within(api: httpx.Client, event: dict[str, str], *, timeout_s: float) -> dict[str, Any]:
    """Send it until it is applied, as a client with patience does."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        reply = api.post("/v1/interactions?wait=applied", json=event)
        if reply.status_code == 200:
            return dict(reply.json()["results"][0])
    raise AssertionError(reply.text)
