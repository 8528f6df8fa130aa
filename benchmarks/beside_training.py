"""Requests while a model trains: latency without and beside a full training at low priority, on one machine.

    python -m benchmarks.beside_training --data .tidewise

The server and the trainer work on one copy of the data, as under `tidewise up`. Half of the requests come right after
an event of the same user.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.data_copies import copy_data
from benchmarks.promotions import SETTLE_S
from benchmarks.report import publish
from benchmarks.serving import ids_of, measure_many, summary
from tidewise.processes.children import free_port, running, wait_ready

READING_S = 3.0  # the trainer starts up and reads the events meanwhile


def measure_twice(data: Path, logs: Path, *, requests: int, clients: Sequence[int]) -> None:
    """Measure and publish."""
    users, items = ids_of(data)
    port = free_port(0)
    with running(["up", "--no-train", "--data", str(data), "--port", str(port)], log=logs / "up.log") as server:
        wait_ready(server, f"http://127.0.0.1:{port}", log=logs / "up.log")
        time.sleep(SETTLE_S)
        measure_many(port, users, items, clients=1, requests=200)  # warm up
        for number in clients:
            publish(f"{number} clients", summary(measure_many(port, users, items, clients=number, requests=requests)))
        with running(["learn", "--once", "--retrain", "--child", "--data", str(data)], log=logs / "learn.log") as child:
            time.sleep(READING_S)
            for number in clients:
                seconds = measure_many(port, users, items, clients=number, requests=requests)
                title = f"{number} clients, beside a training"
                publish(title, {**summary(seconds), "the training": "goes on" if child.poll() is None else "has ended"})


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="state with a trained model (copied)")
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        copy_data(options.data, data)
        measure_twice(data, Path(folder), requests=options.requests, clients=options.clients)


if __name__ == "__main__":
    main()
