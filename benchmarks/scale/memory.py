"""What a process that answers holds in memory per item, per event and per user, from the difference of two sizes.

    python -m benchmarks.scale.memory --data FOLDER --sizes 20000 100000
    python -m benchmarks.scale.memory --data SMALLER --data LARGER

The first multiplies the items of a trained data folder, in copies; the second compares two folders with the same items
and different numbers of events. Each size is measured in a process of its own, once it has the catalogue, the model,
its index and the counts of transitions; then answers to users whom it has not read yet add to it, which caches bound.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.data_copies import copy_data
from benchmarks.report import publish
from benchmarks.scale.catalogue import multiply
from benchmarks.scale.processes import memory_bytes
from benchmarks.serving import ids_of
from core.recommendation.requests import RecommendationRequest
from tidewise.bootstrap import open_system
from tidewise.settings.schema import load_settings

MAX_USERS = 2_000


def held(data: Path) -> dict[str, float]:
    """Sizes of the data, bytes of this process once it can answer, and bytes that a user's answer adds to it."""
    settings = load_settings(overrides={"data.folder": str(data)})
    with open_system(settings, recommends=True) as system:
        system.snapshots.refresh()
        while (model := system.snapshots.current().model) and not model.is_settled:  # its index is built aside
            time.sleep(0.2)
            system.snapshots.refresh()
        with system.store.read() as read:
            totals = read.totals()
        ready_bytes = memory_bytes(os.getpid())
        users = random.Random(1).sample(ids_of(data)[0], min(MAX_USERS, totals.users))
        for user in users:
            system.recommender.recommend(user, RecommendationRequest(n=20))
        users_bytes = memory_bytes(os.getpid()) - ready_bytes
    return {
        "items": totals.items,
        "events": totals.events,
        "bytes": ready_bytes,
        "bytes per user": round(users_bytes / max(len(users), 1)),
    }


def measured(data: Path) -> dict[str, float]:
    """`held` by a new process, so that nothing is left of another size."""
    command = [sys.executable, "-m", "benchmarks.scale.memory", "--held", str(data)]
    figures: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return figures


def at_size(data: Path, size: int) -> dict[str, float]:
    """The figures of a copy of the data with so many items."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "data"
        copy_data(data, copy)
        with open_system(load_settings(overrides={"data.folder": str(copy)}), recommends=True) as system:
            multiply(system, size)
        return measured(copy)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", default=[], help="a data folder with a trained model")
    parser.add_argument("--sizes", type=int, nargs=2, help="items, of copies of the first folder")
    parser.add_argument("--held", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.held:
        sys.stdout.write(json.dumps(held(options.held)))
        return
    if options.sizes:
        small, large = (at_size(options.data[0], size) for size in options.sizes)
    else:
        small, large = map(measured, options.data)
    per = "items" if options.sizes else "events"
    publish(f"memory, {small[per]:,} {per}", small)
    publish(f"memory, {large[per]:,} {per}", large)
    publish("bytes", {f"per {per[:-1]}": round((large["bytes"] - small["bytes"]) / (large[per] - small[per]))})


if __name__ == "__main__":
    main()
