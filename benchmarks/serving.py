"""Freshness and latency of the embedded system, over HTTP, as its clients see them.

    python -m benchmarks.serving                       a simulated shop, built for the occasion
    python -m benchmarks.serving --data .tidewise      your own state (a copy of it: nothing is written to the original)

    python -m benchmarks.serving --scenario a.json     answers under this scenario too, beside those without
    python -m benchmarks.serving --scenario a.json --rounds 6     the same with answers remembered and an experiment
                                                       running, in turns with plain answers that are not remembered

Half of the requests come right after an event of the same user, so that their vector can't have been waiting. Clients
and server share the machine.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import sqlite3
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from statistics import median
from urllib.parse import quote

from rich.console import Console

from benchmarks.data_copies import copy_data
from benchmarks.report import percentiles, publish
from benchmarks.scale.processes import cpu_s
from tidewise.demo.demo import prepare
from tidewise.processes.children import free_port, running, wait_ready
from tidewise.settings.schema import DATABASE_NAME, load_settings

ANSWERS = 20  # items per answer


class Caller:
    """One client: a kept connection, no frills, so that its own cost stays small beside the server's."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)

    def call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        """One request; anything but a success ends the measurement."""
        payload = None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, payload, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        content = response.read()
        if response.status >= http.client.MULTIPLE_CHOICES:
            msg = f"{method} {path}: {response.status} {content[:300]!r}"
            raise RuntimeError(msg)
        answer: dict[str, object] = json.loads(content)
        return answer


def measure(
    port: int, users: list[str], items: list[str], *, requests: int, seed: int, options: str = ""
) -> dict[str, list[float]]:
    """Seconds of single calls by one client: recommend after an event, recommend without, event -> changed answer.

    `options`: more of the query string, as "&scenario=homepage".
    """
    random_source, caller = random.Random(seed), Caller(port)
    seconds: dict[str, list[float]] = {"fresh": [], "settled": [], "changed": [], "post": []}
    for number in range(requests):
        user = random_source.choice(users)
        path = f"/v1/users/{quote(user, safe='')}/recommendations?n={ANSWERS}{options}"
        start_s, wanted = time.perf_counter(), 0
        if number % 2 == 0:
            event = {"user_id": user, "item_id": random_source.choice(items), "type": "click"}
            result = caller.call("POST", "/v1/interactions", event)["results"][0]  # type: ignore[index]
            wanted = result["user_seq"]
            seconds["post"].append(time.perf_counter() - start_s)
        sent_s = time.perf_counter()
        answer = caller.call("GET", path)
        done_s = time.perf_counter()
        if answer["user_seq"] < wanted:  # type: ignore[operator]
            msg = f"a stale answer for {user}: {answer['user_seq']} after {wanted}"
            raise RuntimeError(msg)
        seconds["fresh" if wanted else "settled"].append(done_s - sent_s)
        if wanted:
            seconds["changed"].append(done_s - start_s)
    return seconds


def measure_many(
    port: int, users: list[str], items: list[str], *, clients: int, requests: int, options: str = ""
) -> dict[str, list[float]]:
    """The same by several clients at once, each with its share of the users."""
    results: list[dict[str, list[float]]] = []

    def work(number: int) -> None:
        own = users[number::clients]
        results.append(measure(port, own, items, requests=requests // clients, seed=number, options=options))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(results) != clients:
        msg = f"{clients - len(results)} of {clients} clients failed"
        raise RuntimeError(msg)
    return {name: [value for result in results for value in result[name]] for name in results[0]}


def summary(seconds: dict[str, list[float]]) -> dict[str, object]:
    """The figures of one run."""
    return {
        "recommend, all": percentiles(seconds["fresh"] + seconds["settled"]),
        "recommend, right after an event": percentiles(seconds["fresh"]),
        "recommend, otherwise": percentiles(seconds["settled"]),
        "POST one event": percentiles(seconds["post"]),
        "event -> changed answer": percentiles(seconds["changed"]),
    }


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="state to measure on (copied); default: a simulated shop")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="settings of the server")
    parser.add_argument(
        "--scenario", action="append", default=[], type=Path, metavar="FILE", help="a definition in JSON"
    )
    parser.add_argument("--rounds", type=int, default=0, help="turns with and without the first scenario's experiment")
    options = parser.parse_args()
    if options.rounds and not options.scenario:
        parser.error("--rounds needs --scenario FILE")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        if options.data:
            copy_data(options.data, data)
        else:
            settings = load_settings(overrides={"data.folder": str(data), "train.max_minutes": 0.5})
            prepare(settings, Console(stderr=True))
        users, items = ids_of(data)
        port, log = free_port(0), Path(folder) / "up.log"
        settings_given = [part for entry in options.set for part in ("--set", entry)]
        arguments = ["up", "--data", str(data), "--port", str(port), "--no-train", *settings_given]
        with running(arguments, log=log) as server:
            wait_ready(server, f"http://127.0.0.1:{port}", log=log)
            measure(port, users, items, requests=200, seed=99)  # warm up
            publish("one client", summary(measure(port, users, items, requests=options.requests, seed=1)))
            start_s = time.perf_counter()
            many = measure_many(port, users, items, clients=options.clients, requests=options.requests)
            rate = len(many["fresh"] + many["settled"]) / (time.perf_counter() - start_s)
            figures = {**summary(many), "recommendations/s (with an event before half of them)": round(rate)}
            publish(f"{options.clients} clients", figures)
            if options.rounds:
                [file, *_] = options.scenario
                turns = Turns(port, server.pid, users, items, requests=options.requests, clients=options.clients)
                turns.publish(file, rounds=options.rounds)
            elif options.scenario:
                compare_scenarios(port, server.pid, users, items, options.scenario, requests=options.requests)


def compare_scenarios(
    port: int, pid: int, users: list[str], items: list[str], files: list[Path], *, requests: int
) -> None:
    """CPU of the server and latency of answers without a scenario and under each; without is measured twice."""
    caller = Caller(port)
    for file in files:
        caller.call("PUT", f"/v1/scenarios/{file.stem}", json.loads(file.read_text("utf-8")))
    for name in ("", *(file.stem for file in files), ""):
        begin_s = cpu_s(pid)
        seconds = measure(port, users, items, requests=requests, seed=1, options=f"&scenario={name}" if name else "")
        per_request_ms = 1000 * (cpu_s(pid) - begin_s) / requests
        figures = {"server CPU per request, ms (half with an event)": round(per_request_ms, 2)}
        publish(f"scenario {name}" if name else "no scenario", {**figures, **summary(seconds)})


class Turns:
    """Plain answers and those with scenario, answer log and experiment, in turns by several clients at once."""

    def __init__(self, port: int, pid: int, users: list[str], items: list[str], *, requests: int, clients: int) -> None:
        """`requests`, `clients`: of each turn."""
        self._port, self._pid, self._users, self._items = port, pid, users, items
        self._requests, self._clients = requests, clients

    def publish(self, file: Path, *, rounds: int) -> None:
        """Publish recommendations per second and the server's CPU of both, and the ratio of their medians."""
        caller, name = Caller(self._port), file.stem
        caller.call("PUT", f"/v1/scenarios/{name}", json.loads(file.read_text("utf-8")))
        arms = [{"name": "control", "share": 0.5}, {"name": "same", "share": 0.5, "scenario": name}]
        caller.call("PUT", f"/v1/experiments/{name}", {"scenario": name, "arms": arms})
        options = {"without": "&record=false", "with": f"&scenario={name}"}
        turns: dict[str, list[tuple[float, float]]] = {kind: [] for kind in options}
        for number in range(rounds):
            for kind in sorted(options, reverse=number % 2 == 0):
                turns[kind].append(self._turn(options[kind]))
        rates = {kind: median(rate for rate, _ in turns[kind]) for kind in options}
        figures: dict[str, object] = {f"recommendations/s {kind}": round(rate) for kind, rate in rates.items()}
        for kind, measured in turns.items():
            figures[f"server CPU per request {kind}, ms"] = round(median(cpu_ms for _, cpu_ms in measured), 2)
        publish(f"scenario {name}, answer log and experiment", figures | {"ratio": rates["with"] / rates["without"]})

    def _turn(self, options: str) -> tuple[float, float]:
        """Recommendations per second, and ms of the server's CPU for each."""
        start_s, begin_s = time.perf_counter(), cpu_s(self._pid)
        many = measure_many(
            self._port, self._users, self._items, clients=self._clients, requests=self._requests, options=options
        )
        num = len(many["fresh"] + many["settled"])
        return num / (time.perf_counter() - start_s), 1000 * (cpu_s(self._pid) - begin_s) / num


def ids_of(data: Path) -> tuple[list[str], list[str]]:
    """Users and listed items, in a stable order; read with plain SQL, since no use case needs all users."""
    with closing(sqlite3.connect(data / DATABASE_NAME)) as connection:
        users = [row[0] for row in connection.execute("SELECT user_id FROM users ORDER BY key")]
        items = [row[0] for row in connection.execute("SELECT item_id FROM items WHERE in_catalogue ORDER BY key")]
    return users, items


if __name__ == "__main__":
    main()
