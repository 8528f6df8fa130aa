"""Long runs: what clients were told of each event, refusals that named no time to retry, tables that grew."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.endurance.client import ACKNOWLEDGED, REFUSED, UNANSWERED, LoadedApi, LoadReport
from benchmarks.endurance.day import count_rows, grown

Answer = Callable[[str, dict[str, Any]], bytes | None]  # of a request line and a body; None: the connection ends


def reply(status: str, body: object, *headers: str) -> bytes:
    content = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + content


def report_of(answer: Answer, *, clients: int = 2, kept: bool = True) -> LoadReport:
    """What clients report of a server that answers so, after a tenth of a second. `kept`: it keeps connections."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            length = 0
            while (line := await reader.readline()) != b"\r\n":
                length = int(line.split(b":")[1]) if line.startswith(b"Content-Length") else length
            body = await reader.readexactly(length)
            answered = answer(head.decode(), json.loads(body) if body else {})
            if answered is None:
                break
            writer.write(answered)
            if not kept:
                break
        writer.close()

    async def run() -> LoadReport:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            loaded = LoadedApi(port, ["ann"], ["tent"], prefix="load-")
            while loaded.report.num_sent < 50:
                await loaded.run(clients=clients, rate=None, seconds=0.1)
        return loaded.report

    return asyncio.run(run())


def test_every_event_has_what_its_client_was_told() -> None:
    told: dict[str, str] = {}

    def answer(request: str, body: dict[str, Any]) -> bytes | None:
        if request.startswith("GET"):
            return reply("200 OK", {})
        first = int(body["events"][0]["event_id"].removeprefix("load-"))
        told.update({event["event_id"]: ("stored", "refused", "unanswered")[first % 3] for event in body["events"]})
        if first % 3 == 0:
            return reply("200 OK", {"results": [{"status": "accepted"} for _ in body["events"]]})
        return reply("503 Unavailable", {}, "Retry-After: 1") if first % 3 == 1 else None

    report = report_of(answer)
    states = {"stored": ACKNOWLEDGED, "refused": REFUSED, "unanswered": UNANSWERED}
    assert set(told.values()) == states.keys()
    assert dict(enumerate(report.events)) == {int(name[5:]): states[state] for name, state in told.items()}
    assert report.statuses["503"] > 0
    assert report.num_impolite == 0


def test_a_refusal_without_a_time_to_retry_is_impolite() -> None:
    report = report_of(lambda _request, _body: reply("429 Too Many Requests", {}))
    assert report.num_impolite == report.statuses["429"] == report.num_sent > 0


def test_a_server_that_ends_the_connection_is_asked_again_over_another() -> None:
    def answer(_request: str, body: dict[str, Any]) -> bytes:
        results = [{"status": "accepted"} for _ in body.get("events", [])]
        return reply("200 OK", {"results": results}, "Connection: close")

    report = report_of(answer, clients=1)
    assert set(report.statuses) == {"200"}


def test_a_kept_connection_that_has_ended_is_no_missing_answer() -> None:
    def answer(_request: str, body: dict[str, Any]) -> bytes:
        return reply("200 OK", {"results": [{"status": "accepted"} for _ in body.get("events", [])]})

    report = report_of(answer, clients=1, kept=False)
    assert set(report.statuses) == {"200"}


def test_what_became_due_while_a_client_waited_is_sent_too() -> None:
    async def run() -> LoadReport:
        waiting_s = iter([1.0])

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.readline():
                await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(next(waiting_s, 0.0))
                writer.write(reply("503 Unavailable", {}, "Retry-After: 1", "Connection: close"))
                break
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            loaded = LoadedApi(server.sockets[0].getsockname()[1], ["ann"], ["tent"], prefix="load-")
            await loaded.run(clients=1, rate=20.0, seconds=2.0)
        return loaded.report

    assert asyncio.run(run()).num_sent > 30


def test_clients_send_at_their_rate_whatever_the_answers() -> None:
    async def run() -> LoadReport:
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            loaded = LoadedApi(server.sockets[0].getsockname()[1], ["ann"], ["tent"], prefix="load-")
            await loaded.run(clients=50, rate=500.0, seconds=1.0)
        return loaded.report

    report = asyncio.run(run())
    assert 0 < report.num_sent < 700
    assert report.took_s == []


def test_only_tables_that_grew_are_told_with_their_rows(tmp_path: Path) -> None:
    moments = []
    with closing(sqlite3.connect(tmp_path / "a shop.db")) as writer:
        writer.execute("CREATE TABLE events (key INTEGER PRIMARY KEY AUTOINCREMENT)")
        writer.execute("CREATE TABLE leases (role)")
        writer.execute("CREATE TABLE scores (event_key)")
        writer.execute("INSERT INTO leases VALUES ('trainer')")
        for num_scores in (0, 3, 0):
            writer.execute("INSERT INTO events DEFAULT VALUES")
            writer.execute("DELETE FROM scores")
            writer.executemany("INSERT INTO scores VALUES (?)", [(number,) for number in range(num_scores)])
            writer.commit()
            moments.append(count_rows(tmp_path / "a shop.db"))
    assert moments[0] == {"events": 1, "leases": 1, "scores": 0}
    assert grown(moments) == {"events": [1, 2, 3], "scores": [0, 3, 0]}
