r"""Two versions of Tidewise on the same events, asked in alternation by the same client on one machine.

    git worktree add OLD 244b12c
    python -m benchmarks.scale.versions prepare --old OLD --folder FOLDER --events ml-1m.inter.tsv.gz \
        --columns user_id,movie_id,timestamp --items ml-1m.item.tsv.gz \
        --item-columns item_id=movie_id,title=title,categories=genres
    python -m benchmarks.scale.versions run --old OLD --folder FOLDER --rounds 4 --seconds 8

`prepare` imports and trains with each version into a folder of its own (a training of a minute: only its shape
matters here). `run` starts one server after the other, asks for each user, waits until it has read the history and is
idle, and asks for all users several times more, so that each process has encoded them. Then it asks for 20 items with 1
and 8 clients, alone and beside 100 item changes and 200 events a second (the traffic's cost is the server's too), and
prints rates, latencies and CPU time per answer of each round, and the median ratios of the rounds.
The old version runs from its checkout with the packages of this environment, in one process, as it does; the new one in
one per core.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from benchmarks.report import publish
from benchmarks.scale.client import run_clients
from benchmarks.scale.processes import cpu_s, wait_idle
from benchmarks.scale.traffic import beside
from benchmarks.serving import ANSWERS, ids_of
from tidewise.processes.children import free_port, wait_ready

CLIENTS = (1, 8)
WARM_S = 8  # with the most clients: each process encodes the users that it answers
TRAINING_MINUTES = 1.0
NUM_USERS = 500


@dataclass(frozen=True)
class TimedVersion:
    """`checkout`: its source; None: this one. `options`: of `up`; `training`: of `train`."""

    name: str
    data: Path
    checkout: Path | None = None
    options: tuple[str, ...] = ()
    training: tuple[str, ...] = ()

    def command(self, *arguments: str) -> list[str]:
        """A command line of this version."""
        return [sys.executable, "-m", "tidewise", *arguments]

    @property
    def environment(self) -> Mapping[str, str]:
        """With its source first on the path, and one native thread, as in serving processes."""
        source = self.checkout or Path(__file__).parents[2]
        return {**os.environ, "PYTHONPATH": str(source.absolute()), "OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}

    def prepare(self, importing: Sequence[str]) -> None:
        """Import and train."""
        minutes = ["--set", f"train.max_minutes={TRAINING_MINUTES}"]
        for arguments in (["import", *importing], ["train", *minutes, *self.training]):
            command = self.command(*arguments, "--data", str(self.data))
            subprocess.run(command, env=self.environment, check=True)

    @contextmanager
    def serving(self, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        """A ready server and its port."""
        port = free_port(0)
        command = self.command("up", "--data", str(self.data), "--port", str(port), "--no-train", *self.options)
        with log.open("wb") as output:
            server = subprocess.Popen(command, env=self.environment, stdout=output, stderr=output)
        try:
            wait_ready(server, f"http://127.0.0.1:{port}", log=log)
            yield server, port
        finally:
            server.terminate()
            server.wait()


def measure(version: TimedVersion, users: Sequence[str], folder: Path, *, seconds: int) -> dict[str, dict[str, float]]:
    """By number of clients and traffic: answers per second, p50, p99 and the server's CPU time per answer."""
    paths = [f"/v1/users/{quote(user, safe='')}/recommendations?n={ANSWERS}" for user in users]
    figures: dict[str, dict[str, float]] = {}
    with version.serving(folder / f"{version.name}.log") as (server, port):
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            answer: Any = [client.get(path).json() for path in paths][-1]
        assert len(answer["items"]) == ANSWERS, answer
        assert answer["model_version"], f"{version.name}: wanted a model that serves, got {answer}"
        wait_idle(server.pid)
        run_clients(port, paths, clients=max(CLIENTS), seconds=WARM_S, folder=folder)
        for name, traffic in (("", nullcontext()), (", beside changes", beside(port, users))):
            with traffic:
                for clients in CLIENTS:
                    begin_s, begin_cpu_s = time.perf_counter(), cpu_s(server.pid)
                    load = run_clients(port, paths, clients=clients, seconds=seconds, folder=folder)
                    num_answers = load.rate * (time.perf_counter() - begin_s)
                    cpu_ms = 1000 * (cpu_s(server.pid) - begin_cpu_s) / num_answers
                    figures[f"{clients} clients{name}"] = {**vars(load), "cpu_ms": round(cpu_ms, 2)}
    return figures


def ratios(old: Mapping[str, float], new: Mapping[str, float]) -> dict[str, float]:
    """How many times as many answers, and which share of latency and CPU time."""
    return {
        "rate": new["rate"] / old["rate"],
        "p50_ms": new["p50_ms"] / old["p50_ms"],
        "p99_ms": new["p99_ms"] / old["p99_ms"],
        "cpu_ms": new["cpu_ms"] / old["cpu_ms"],
    }


def compare(versions: Sequence[TimedVersion], folder: Path, *, rounds: int, seconds: int) -> None:
    """Measure in alternation and publish."""
    known, _ = ids_of(versions[0].data)
    users = random.Random(1).sample(known, min(NUM_USERS, len(known)))
    measured: list[list[dict[str, dict[str, float]]]] = []
    for number in range(rounds):
        measured.append([measure(version, users, folder, seconds=seconds) for version in versions])
        for version, figures in zip(versions, measured[-1], strict=True):
            publish(f"round {number + 1}, {version.name}", figures)
    for name in measured[0][0]:
        each = [ratios(old[name], new[name]) for old, new in measured]
        publish(
            f"new / old, {name}, median of {rounds} rounds",
            {figure: round(statistics.median(ratio[figure] for ratio in each), 2) for figure in each[0]},
        )


def main() -> None:
    """Prepare or run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["prepare", "run"])
    parser.add_argument("--old", type=Path, required=True, help="a checkout of the old version")
    parser.add_argument("--folder", type=Path, required=True, help="where the data folders are")
    parser.add_argument("--events")
    parser.add_argument("--columns", default="user_id,item_id,timestamp")
    parser.add_argument("--items")
    parser.add_argument("--item-columns", default="item_id=item_id,title=title")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="of the new version")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=8, help="per measurement")
    options = parser.parse_args()
    versions = [
        TimedVersion("old", options.folder / "old", options.old),
        TimedVersion("new", options.folder / "new", None, ("--processes", str(options.processes)), ("--force",)),
    ]
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.step == "prepare":
        importing = ["--events", options.events, "--columns", options.columns, "--time-unit", "s"]
        if options.items:
            importing += ["--items", options.items, "--item-columns", options.item_columns]
        for version in versions:
            version.prepare(importing)
    else:
        compare(versions, options.folder, rounds=options.rounds, seconds=options.seconds)


if __name__ == "__main__":
    main()
