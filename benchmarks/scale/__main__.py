"""The whole server at 10,000, 100,000 and 1,000,000 items, in one table.

    python -m benchmarks.scale --data FOLDER                       a trained data folder: nothing is written to it
    python -m benchmarks.scale --data FOLDER --sizes 10000 --seconds 5

For each size: the catalogue is multiplied (`catalogue.py`), the server starts from a saved snapshot, each process is
asked for each of 500 users, and wrk asks for 20 items for them with 1 and 8 clients, alone (lists are kept) and beside
100 item changes and 200 events a second (lists are computed). Recall is measured in this process, on the same data.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.data_copies import copy_data
from benchmarks.report import percentiles, publish
from benchmarks.scale.catalogue import multiply
from benchmarks.scale.client import run_clients
from benchmarks.scale.processes import WATCHED_S, cpu_share, memory_bytes, wait_idle
from benchmarks.scale.recall import compacted, recall_of_answers
from benchmarks.scale.traffic import ask_everywhere, beside, visible_after
from benchmarks.scale.versions import NUM_USERS
from benchmarks.serving import ANSWERS, Caller, ids_of
from index.live import EXACT_SIZE
from tidewise.bootstrap import open_system
from tidewise.processes.children import free_port, running, wait_ready
from tidewise.processes.monitor import read_all
from tidewise.settings.schema import load_settings

SIZES = (10_000, 100_000, 1_000_000)
RECALL_USERS = 200
PROBED_USERS = 10
READY_TIMEOUT_S = 900.0


def measure(data: Path, folder: Path, settings: Sequence[str], *, seconds: int) -> dict[str, object]:
    """The figures of a running server."""
    users, _ = ids_of(data)
    users = random.Random(1).sample(users, min(NUM_USERS, len(users)))
    paths = [f"/v1/users/{quote(user, safe='')}/recommendations?n={ANSWERS}" for user in users]
    port, log = free_port(0), folder / "up.log"
    options = [part for setting in settings for part in ("--set", setting)]
    figures: dict[str, object] = {}
    start_s = time.perf_counter()
    with running(["up", "--data", str(data), "--port", str(port), "--no-train", *options], log=log) as server:
        wait_ready(server, f"http://127.0.0.1:{port}", log=log, timeout_s=READY_TIMEOUT_S)
        figures["ready after, s"] = round(time.perf_counter() - start_s, 1)
        figures["index"] = _settled_index(Caller(port))
        figures["index after, s"] = round(time.perf_counter() - start_s, 1)
        wait_idle(server.pid)
        ask_everywhere(port, paths)
        for name, traffic in (("", nullcontext()), (", beside changes", beside(port, users))):
            with traffic:
                for clients in (1, 8):
                    load = run_clients(port, paths, clients=clients, seconds=seconds, folder=folder)
                    figures[f"{clients} clients{name}"] = vars(load)
        with beside(port, users):
            figures["change visible after"] = percentiles(visible_after(port, users[:PROBED_USERS]))
        figures["memory, MB"] = round(memory_bytes(server.pid) / 1e6)
        wait_idle(server.pid)
        figures["idle, % of a core"] = round(100 * cpu_share(server.pid, seconds=max(seconds, WATCHED_S)), 1)
    return figures


def _settled_index(caller: Caller) -> dict[str, object]:
    """The state of the item index once it is built in the background."""
    while True:
        status: Any = caller.call("GET", "/v1/status")
        index: dict[str, Any] = status["index"]
        if index["items"] <= EXACT_SIZE or index["recall"] is not None:
            return index
        time.sleep(0.2)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a data folder with a trained model (copied)")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="items; 0: as many as there are")
    parser.add_argument("--seconds", type=int, default=10, help="per measurement")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="settings of the data")
    options = parser.parse_args()
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            data = folder / "data"
            copy_data(options.data, data)
            overrides = {"data.folder": str(data), **dict(setting.split("=", 1) for setting in options.set)}
            with open_system(load_settings(overrides=overrides), recommends=True) as system:
                size = multiply(system, size)
                read_all(system, again=False)  # the monitor of a server takes minutes for a history
                begin_s = time.process_time()
                compacted(system)
                publish(f"indexes of {size:,} items", {"cpu_s": round(time.process_time() - begin_s, 1)})
                system.snapshots.save_if_due()
            publish(f"{size:,} items", measure(data, folder, options.set, seconds=options.seconds))
            with open_system(load_settings(overrides=overrides), recommends=True) as system:
                users = random.Random(2).sample(ids_of(data)[0], RECALL_USERS)
                publish(f"recall@10 of answers, {size:,} items", recall_of_answers(system, users))


if __name__ == "__main__":
    main()
