"""Random faults of the embedded system under load, in rounds that can be resumed.

    python -m benchmarks.faults.embedded --faults 200 --seed 1 --out faults.jsonl

Clients send, undo, merge and erase, change items and read answers under an experiment; an operator imports events and a
catalogue, backs up, trains and promotes. API processes, monitor, supervisor and the operator's commands are killed or
suspended; the disk is full, or slow (by strace), or the clock wrong for a while; alone and in pairs, at random. At the
end of each round the database and the newest backup are compared with what clients and operator were told. A round's
figures are a line of the file; rounds that are there already are not run again. The exit code is 1 where a promise was
broken.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.faults.campaign import report
from benchmarks.faults.embedded import slow_disk
from benchmarks.faults.embedded.campaign import run_round, settings_in
from benchmarks.faults.embedded.faults import drawn
from benchmarks.faults.system import SMALL_MODEL, fill_and_train
from benchmarks.report import publish
from tidewise.settings.schema import CONFIG_NAME

PER_ROUND = 25  # a round costs 30 s beside its incidents: a start, a model, a comparison, a restored backup


def main() -> int:
    """Run the rounds that are missing, and publish the figures of all; returns the exit code."""
    options = parse_options()
    sizes = [min(PER_ROUND, options.faults - begin) for begin in range(0, options.faults, PER_ROUND)]
    done = finished_rounds(options.out, seed=options.seed)
    without = impossible()
    report(f"seed {options.seed}, {options.faults} incidents in {len(sizes)} rounds, {len(done)} of them done")
    with tempfile.TemporaryDirectory() as name:
        shop = Path(name) / "shop"
        shop.mkdir()
        (shop / CONFIG_NAME).write_text(SMALL_MODEL)
        fill_and_train(settings_in(shop))
        for number, size in enumerate(sizes):
            if number in done:
                continue
            with tempfile.TemporaryDirectory() as folder:
                seed = options.seed * 1000 + number
                rng = random.Random(seed)
                incidents = [drawn(rng, without=without) for _ in range(size)]
                result = run_round(shop, Path(folder), seed=seed, incidents=incidents, report=report)
            entry = {"seed": options.seed, "round": number, "date": time.strftime("%F"), **asdict(result)}
            with options.out.open("a") as file:
                file.write(json.dumps(entry) + "\n")
            report(f"round {number + 1}: {result.num_events} events, violations {result.violations}")
    rounds = list(finished_rounds(options.out, seed=options.seed).values())
    figures = summary(rounds)
    publish("random faults of the embedded system", figures)
    return int(any(figures["violations"].values()))


def impossible() -> tuple[str, ...]:
    """The kinds of faults that cannot be caused on this machine; reports why."""
    try:
        slow_disk.check()
    except slow_disk.NoTracer as error:
        report(f"no slow disk: {error}; install strace, and run as root or allow tracing")
        return ("slow disk",)
    return ()


def finished_rounds(path: Path, *, seed: int) -> dict[int, dict[str, Any]]:
    """The rounds of a seed in the file of figures, by number."""
    if not path.exists():
        return {}
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    return {entry["round"]: entry for entry in entries if entry["seed"] == seed}


def summary(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of all rounds: recoveries by what was hit alone, longest outages, and violations."""
    by_hit: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    violations: Counter[str] = Counter()
    for entry in rounds:
        for incident in entry["incidents"]:
            by_hit[incident["hit"] if " + " not in incident["hit"] else "two faults"].append(incident)
        violations.update(entry["violations"])
    hits = [hit for incidents in by_hit.values() for entry in incidents for hit in entry["hit"].split(" + ")]
    caused = [hit for hit in hits if " no " not in hit]  # not those that found nothing to hit
    return {
        "incidents": sum(map(len, by_hit.values())),
        "faults": len(caused),
        "kills": dict(Counter(hit.removeprefix("kill ") for hit in caused if hit.startswith("kill ")).most_common()),
        "events acknowledged": sum(entry["num_events"] for entry in rounds),
        "items compared": sum(entry.get("num_items", 0) for entry in rounds),
        **{name: _times(incidents) for name, incidents in sorted(by_hit.items())},
        "violations": dict(violations),
    }


def _times(incidents: Sequence[dict[str, float]]) -> dict[str, float]:
    ready_s = [incident["ready_s"] for incident in incidents]
    return {
        "num": len(incidents),
        "ready_median_s": round(statistics.median(ready_s), 2),
        "ready_max_s": max(ready_s),
        "unanswered_max_s": max(incident["unanswered_s"] for incident in incidents),
    }


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=200, help="how many incidents")
    parser.add_argument("--seed", type=int, default=0, help="kind, place and time of the faults")
    parser.add_argument("--out", type=Path, default=Path("build/faults.jsonl"), help="the file of figures")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
