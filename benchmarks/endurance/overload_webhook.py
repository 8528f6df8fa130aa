"""Thousands of alarms due at once for receivers that are slow, refuse or are away, and what became of them.

    python -m benchmarks.endurance.overload_webhook --data FOLDER --minutes 6 --alarms 3000

A server has that many alarms to send, and as many that are too old to be sent. The receiver fails in each way for the
same time, then it accepts. Clients send normal load meanwhile. Told for each way are the requests of the receiver and
the longest time between two of them, the monitor's memory, the most events that waited for the monitor, and answers;
then the time until all alarms were accepted, alarms that were not, or more than once, and how long the server takes to
end while a receiver does not answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

from benchmarks.data_copies import ServedCopy, served_copy
from benchmarks.endurance.client import LoadedApi
from benchmarks.report import percentiles, publish
from benchmarks.scale.processes import own_memory_bytes
from benchmarks.serving import ids_of
from core.clock import DAY_MS
from core.drift.monitor import ROLE
from core.records.drift import Alarm
from tidewise.bootstrap import open_system
from tidewise.processes.children import free_port
from tidewise.settings.schema import DATABASE_NAME, load_settings

FAILURES = ("accepts after 5 s", "never answers", "answers bit by bit", "500", "429", "away")
ACCEPTS = "accepts"
SLOW_S = 5.0
BIT_S = 0.5
CLIENTS, PREFIX = 8, "alarmed-"
SAMPLE_S = 2.0
HOLDER = "SELECT holder FROM leases WHERE role = ?"
UNSCORED = "SELECT count(*) FROM drift_scores WHERE NOT scored"
UNSENT = "SELECT count(*) FROM drift_alarms WHERE sent_ms IS NULL AND detected_ms > ?"


class FailingReceiver:
    """An HTTP server on loopback that does as `manner` says. `accepted`: how often each alarm was."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.manner = ACCEPTS
        self.asked_s: list[float] = []
        self.accepted: Counter[str] = Counter()
        self._ended = threading.Event()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request, in a thread of its own."""
        self.asked_s.append(time.monotonic())
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        manner = self.manner
        if manner == "never answers":
            self._ended.wait()
        elif manner == "answers bit by bit":
            handler.wfile.write(b"HTTP/1.1 204 No Content\r\nServer: ")
            while not self._ended.wait(BIT_S):
                handler.wfile.write(b"x")
        elif manner in ("500", "429"):
            _end(handler, int(manner))
        else:
            self._ended.wait(SLOW_S if manner != ACCEPTS else 0.0)
            self.accepted[body["alarm"]["alarm_id"]] += 1
            _end(handler, 204)

    @contextmanager
    def listening(self, manner: str) -> Iterator[None]:
        """Listen in the block, unless it is "away"."""
        self.manner, self._ended = manner, threading.Event()
        if manner == "away":
            yield
            return
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                with suppress(OSError):  # the sender has gone
                    outer.answer(self)

            def log_message(self, *_: object) -> None:
                """Silence."""

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            server.shutdown()
            server.server_close()
            thread.join()


def _end(handler: BaseHTTPRequestHandler, status: int) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


class AlarmedServer:
    """A server that has alarms to send, under load."""

    def __init__(self, served: ServedCopy, receiver: FailingReceiver) -> None:
        self._served, self._receiver = served, receiver
        self._users, self._items = ids_of(served.data)
        self._raised_ms = self._num_raised = 0
        while not (holders := self._values(HOLDER, ROLE)):
            time.sleep(SAMPLE_S)
        self._monitor_pid = int(str(holders[0]).split(":")[1])  # see `process_name`

    def raise_alarms(self, num: int) -> None:
        """So many now, and as many two days ago."""
        with open_system(load_settings(overrides={"data.folder": str(self._served.data)})) as system:
            self._raised_ms = system.clock.now_ms()
            for raised_ms in (self._raised_ms - 2 * DAY_MS, self._raised_ms):
                alarms = [_alarm(raised_ms, self._num_raised + number) for number in range(num)]
                self._num_raised += num
                with system.store.transaction() as tx:
                    tx.drift.save_alarms(alarms)
                    tx.commit()

    def num_unsent(self) -> int:
        """Alarms of today that were not accepted."""
        return self._count(UNSENT, self._raised_ms - DAY_MS)

    async def loaded(self, manner: str, seconds: float, rate: float) -> dict[str, object]:
        """The figures of a time in which the receiver does so."""
        api = LoadedApi(self._served.port, self._users, self._items, prefix=f"{PREFIX}{manner}-")
        begin_s, num_accepted = time.monotonic(), self._receiver.accepted.total()
        memory_mb, unscored = list[int](), list[int]()
        with self._receiver.listening(manner):
            load = asyncio.create_task(api.run(clients=CLIENTS, rate=rate, seconds=seconds))
            while not load.done():
                await asyncio.wait([load], timeout=SAMPLE_S)
                memory_mb.append(round(own_memory_bytes(self._monitor_pid) / 1e6))
                unscored.append(await asyncio.to_thread(self._count, UNSCORED))
            await load
        asked_s = [asked_s for asked_s in self._receiver.asked_s if asked_s >= begin_s]
        return {
            "asked": len(asked_s),
            "longest between two, s": round(max((b - a for a, b in pairwise(asked_s)), default=0.0), 1),
            "accepted": self._receiver.accepted.total() - num_accepted,
            "memory of the monitor, MB": [memory_mb[0], max(memory_mb), memory_mb[-1]],
            "events that wait for the monitor at most": max(unscored),
            "statuses": dict(api.report.statuses),
            **percentiles(api.report.took_s),
        }

    def end_s(self) -> float:
        """Seconds that the server takes to end while it waits for the answer of a receiver that never answers."""
        with self._receiver.listening("never answers"):
            num_asked = len(self._receiver.asked_s)
            self.raise_alarms(1)
            while len(self._receiver.asked_s) == num_asked:
                time.sleep(0.01)
            begin_s = time.monotonic()
            self._served.process.terminate()
            self._served.process.wait()
            return time.monotonic() - begin_s

    def _count(self, statement: str, *values: int) -> int:
        [num] = self._values(statement, *values)
        return int(str(num))

    def _values(self, statement: str, *values: int | str) -> list[object]:
        with closing(sqlite3.connect(self._served.data / DATABASE_NAME)) as database:
            return [value for (value,) in database.execute(statement, values)]


def _alarm(raised_ms: int, number: int) -> Alarm:
    return Alarm(f"loss//{number}", "loss", "", raised_ms, raised_ms, 1.0, 2.0, 1.9, 2.1, "a benchmark")


async def overload(server: AlarmedServer, receiver: FailingReceiver, options: argparse.Namespace) -> dict[str, object]:
    """The figures of the whole run."""
    seconds = options.minutes * 60 / (len(FAILURES) + 1)
    figures: dict[str, object] = {"before": await server.loaded(ACCEPTS, seconds, options.rate)}
    server.raise_alarms(options.alarms)
    for manner in FAILURES:
        figures[manner] = await server.loaded(manner, seconds, options.rate)
    num_left, begin_s = server.num_unsent(), time.monotonic()
    with receiver.listening(ACCEPTS):
        while server.num_unsent():
            await asyncio.sleep(0.1)
    took_s = time.monotonic() - begin_s
    return figures | {
        "left when it accepts": num_left,
        "until all were accepted, s": round(took_s, 1),
        "not accepted": options.alarms - len(receiver.accepted),
        "accepted more than once": sum(num > 1 for num in receiver.accepted.values()),
        "end beside a receiver that never answers, s": round(server.end_s(), 1),
    }


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a data folder with a trained model (copied)")
    parser.add_argument("--minutes", type=float, default=7.0)
    parser.add_argument("--alarms", type=int, default=3_000)
    parser.add_argument("--rate", type=float, default=50.0, help="requests per second")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    receiver = FailingReceiver(free_port(0))
    settings = [
        f"drift.webhook_url=http://127.0.0.1:{receiver.port}/",
        "drift.webhook_secret=a secret of sixteen",
        "drift.webhook_allow_private=true",
    ]
    with served_copy(options.data, processes=options.processes, settings=settings) as served:
        figures = asyncio.run(overload(AlarmedServer(served, receiver), receiver, options))
    publish(f"{options.alarms} alarms due at once for {options.minutes:g} minutes", figures)


if __name__ == "__main__":
    main()
