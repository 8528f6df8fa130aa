"""What blending costs an answer: latency and freshness with and without live counts, asked in alternation.

    python -m benchmarks.blending --data FOLDER --requests 2000

Two servers work on copies of one data folder with a trained model, one of them with `recommend.blend=false`. Each is
asked for the items of the same user, which one first alternates: first users who have not been asked yet, so that no
kept list can answer; then users of whom it is told an event just before, whose answers wait for what the event makes
the server do, too. Clients and servers share the machine. Before that, the CPU time of computing an answer in this
process.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import numpy as np

from benchmarks.data_copies import copy_data
from benchmarks.report import percentiles, publish
from benchmarks.scale.processes import cpu_s, wait_idle
from benchmarks.serving import ANSWERS, Caller, ids_of
from core.recommendation.recommender import Recommender
from core.recommendation.requests import RecommendationRequest
from tidewise.bootstrap import open_existing
from tidewise.processes.children import free_port, running, wait_ready
from tidewise.settings.schema import load_settings

ROUNDS, NUM_USERS = 4, 500  # of the answers in this process
BLENDED, ALONE = "with blending", "without"
SETTINGS = {BLENDED: (), ALONE: ("--set", "recommend.blend=false")}


@dataclass
class MeasuredServer:
    """A server, its client, and the seconds of its answers and of events until the changed answer.

    `first_s`: of answers to users who were not asked before. `answer_s`: of those right after an event.
    """

    pid: int
    caller: Caller
    first_s: list[float] = field(default_factory=list)
    answer_s: list[float] = field(default_factory=list)
    changed_s: list[float] = field(default_factory=list)

    def ask_first(self, user: str) -> None:
        """Ask for the items of a user who was not asked before; raises `RuntimeError` for an answer without a model."""
        start_s = time.perf_counter()
        self._answer(user, at_least=0)
        self.first_s.append(time.perf_counter() - start_s)

    def ask_after_event(self, user: str, item: str, time_ms: int) -> None:
        """Store an event of the user, then ask; raises `RuntimeError` for an answer without it or without a model."""
        start_s = time.perf_counter()
        event = {"user_id": user, "item_id": item, "type": "click", "time": time_ms}
        result = self.caller.call("POST", "/v1/interactions", event)["results"][0]  # type: ignore[index]
        stored_s = time.perf_counter()
        self._answer(user, at_least=result["user_seq"])
        end_s = time.perf_counter()
        self.answer_s.append(end_s - stored_s)
        self.changed_s.append(end_s - start_s)

    def _answer(self, user: str, *, at_least: int) -> None:
        """`at_least`: the number of events that it must count."""
        answer = self.caller.call("GET", f"/v1/users/{quote(user, safe='')}/recommendations?n={ANSWERS}")
        if answer["user_seq"] < at_least or answer["source"] != "model":  # type: ignore[operator]
            msg = f"wanted an answer of a model with event {at_least} of {user}, got {answer}"
            raise RuntimeError(msg)


@contextmanager
def serving(data: Path, folder: Path) -> Iterator[dict[str, MeasuredServer]]:
    """The two servers, each on a copy of the data, idle."""
    with ExitStack() as stack:
        servers: dict[str, MeasuredServer] = {}
        for name, settings in SETTINGS.items():
            copy, log, port = folder / name.replace(" ", "-"), folder / f"{name}.log", free_port(0)
            copy_data(data, copy)
            arguments = ["up", "--no-train", "--data", str(copy), "--port", str(port), *settings]
            process = stack.enter_context(running(arguments, log=log))
            wait_ready(process, f"http://127.0.0.1:{port}", log=log)
            wait_idle(process.pid)
            servers[name] = MeasuredServer(process.pid, Caller(port))
        yield servers


def ask_all_first(servers: Sequence[MeasuredServer], users: Sequence[str]) -> None:
    """One answer for each user of each server."""
    for number, user in enumerate(users):
        for server in servers if number % 2 else servers[::-1]:
            server.ask_first(user)


def alternate(
    servers: Sequence[MeasuredServer], users: Sequence[str], items: Sequence[str], *, num: int, since_ms: int
) -> None:
    """So many events and answers of each server, both the same, an event in a second of the log's time.

    `since_ms`: the time of the newest event; events of today would let all counts of an old log decay to nothing.
    """
    random_source = random.Random(num)
    for number in range(num):
        user, item = random_source.choice(users), random_source.choice(items)
        for server in servers if number % 2 else servers[::-1]:
            server.ask_after_event(user, item, since_ms + 1000 * (number + 1))


def newest_event_ms(data: Path) -> int:
    """The time of the newest event of a data folder."""
    with open_existing(load_settings(overrides={"data.folder": str(data)})) as system, system.store.read() as read:
        return read.offsets.newest_event_ms() or 0


def answer_cpu_ms(data: Path, users: Sequence[str]) -> dict[str, dict[str, float]]:
    """CPU time of computing an answer in this process, the least of `ROUNDS` for each user: also on a busy machine."""
    now_ms = newest_event_ms(data) + 1000
    request = RecommendationRequest(n=ANSWERS, at_ms=now_ms)  # of a given time: never kept
    used_ms: dict[str, list[list[float]]] = {BLENDED: [], ALONE: []}
    with ExitStack() as stack:
        recommenders = {}
        for name, is_blended in ((BLENDED, "true"), (ALONE, "false")):
            settings = load_settings(overrides={"data.folder": str(data), "recommend.blend": is_blended})
            system = stack.enter_context(open_existing(settings, recommends=True))
            system.snapshots.refresh()
            recommenders[name] = system.recommender
        for _ in range(ROUNDS):
            for name, recommender in recommenders.items():
                used_ms[name].append([1000 * _cpu_s(recommender, user, request) for user in users])
    least = {name: np.min(rounds, axis=0) for name, rounds in used_ms.items()}
    least["added"] = least[BLENDED] - least[ALONE]
    return {
        name: {f"p{share}_ms": round(float(np.percentile(of_users, share)), 2) for share in (50, 99)}
        for name, of_users in least.items()
    }


def _cpu_s(recommender: Recommender, user: str, request: RecommendationRequest) -> float:
    begin_s = time.thread_time()
    recommender.recommend(user, request)
    return time.thread_time() - begin_s


def figures(servers: dict[str, MeasuredServer], used_s: dict[str, float]) -> dict[str, object]:
    """Latencies of both, and what blending adds to the p50 and in the middle of the pairs. `used_s`: CPU time."""
    blended, alone = servers[BLENDED], servers[ALONE]
    shown: dict[str, object] = {}
    for name, server in servers.items():
        shown[f"first answer, {name}"] = percentiles(server.first_s)
        shown[f"answer after an event, {name}"] = percentiles(server.answer_s)
        shown[f"event -> changed answer, {name}"] = percentiles(server.changed_s)
        cpu_ms = 1000 * used_s[name] / len(server.answer_s)
        shown[f"server CPU of an event and an answer, {name}, ms"] = round(cpu_ms, 2)
    for what, pairs in (
        ("first answer", (blended.first_s, alone.first_s)),
        ("answer after an event", (blended.answer_s, alone.answer_s)),
        ("event -> changed answer", (blended.changed_s, alone.changed_s)),
    ):
        with_ms, without_ms = (1000 * np.asarray(seconds) for seconds in pairs)
        shown[f"{what}: p50 with - p50 without, ms"] = round(float(np.median(with_ms) - np.median(without_ms)), 2)
        shown[f"{what}: p50 of the differences, ms"] = round(float(np.median(with_ms - without_ms)), 2)
    return shown


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="state with a trained model (copied)")
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--warm", type=int, default=300, help="requests before those that count")
    options = parser.parse_args()
    users, items = ids_of(options.data)
    with tempfile.TemporaryDirectory() as folder:
        copy_data(options.data, Path(folder) / "data")
        newest_ms = newest_event_ms(Path(folder) / "data")
        some = random.Random(0).sample(users, min(NUM_USERS, len(users)))
        publish("blending, CPU of an answer", answer_cpu_ms(Path(folder) / "data", some))
    with tempfile.TemporaryDirectory() as folder, serving(options.data, Path(folder)) as servers:
        both = list(servers.values())
        asked = random.Random(1).sample(users, min(options.warm + options.requests, len(users)))
        ask_all_first(both, asked[: options.warm])
        for server in both:
            server.first_s.clear()
        ask_all_first(both, asked[options.warm :])
        alternate(both, users, items, num=options.warm, since_ms=newest_ms)
        for server in both:
            server.answer_s.clear()
            server.changed_s.clear()
        before_s = {name: cpu_s(server.pid) for name, server in servers.items()}
        since_ms = newest_ms + 1000 * options.warm
        alternate(both, users, items, num=options.requests, since_ms=since_ms)
        used_s = {name: cpu_s(server.pid) - before_s[name] for name, server in servers.items()}
        publish("blending", figures(servers, used_s))


if __name__ == "__main__":
    main()
