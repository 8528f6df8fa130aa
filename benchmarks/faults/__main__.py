"""Faults while events flow: what is lost, what is counted twice, and how long each recovery takes.

    python -m benchmarks.faults            the whole campaign; starts all servers itself, ends with the JSON line
    python -m benchmarks.faults --quick    one or two of each

Events flow into Kafka at a rate, clients post to two APIs, two workers apply. Workers, broker, PostgreSQL and APIs are
killed and started again, the two servers also together; workers are frozen past their session, come and go. What ends
by itself is started again, as a supervisor does, and counted. A fault is over when a click sent after it to every
partition is in the database. At the end the database is compared with what the senders wrote down. The exit code is 1
where an event was lost, counted twice or changed, or a recovery took more than 90 s: after that no more is broken.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from benchmarks.faults.campaign import Campaign, plan, say
from benchmarks.faults.ledger import Ledger, Log, Stored, compare
from benchmarks.faults.processes import Overdue
from benchmarks.faults.system import System, shop, system
from benchmarks.faults.traffic import ApiClients, Flow, Probes, flowing, patient
from benchmarks.report import publish
from tidewise.processes.kafka import kafka_settings

FULL = {"workers": 20, "brokers": 5, "databases": 5, "doubles": 3, "apis": 10, "zombies": 5, "joins": 3}
QUICK = {"workers": 2, "brokers": 1, "databases": 2, "doubles": 1, "apis": 1, "zombies": 1, "joins": 1}


def run(broken: System, given: argparse.Namespace, counts: dict[str, int]) -> tuple[dict[str, object], dict[str, int]]:
    """Let events flow, break things, compare; what was seen, and how often each promise was broken.

    Where something does not recover in its time, no more is broken, and the comparison says what that cost.
    """
    settings = broken.settings()
    kafka = patient(kafka_settings(settings))
    items = [item.item_id for item in shop().items]
    before = Stored.read(broken.database.url)
    flow = Flow(kafka, given.rate, given.users, items, broken.folder / "flow.ledger")
    clients = ApiClients([api.url for api in broken.apis], num_clients=2, items=items, folder=broken.folder)
    probe_ledger = broken.folder / "probes.ledger"
    stood_still: list[str] = []
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(probe_ledger))
        probes = stack.enter_context(closing(Probes(kafka, broken.database.url, item_id=items[0], ledger=ledger)))
        campaign = Campaign(broken, probes)
        started_s = time.monotonic()
        with noted(stood_still), flowing(flow), clients.posting(), noted(stood_still):
            campaign.recovered("nothing: a click while all is well", time.monotonic())
            for break_one in plan(campaign, counts, seed=given.seed):
                break_one()
        took_s = time.monotonic() - started_s
        with noted(stood_still):
            campaign.probes.recovery_s(time.monotonic())  # behind everything else in each partition
    log = Log.read([flow.ledger, probe_ledger, *clients.ledgers])
    shape, half_life_ms = settings.window, settings.popularity.half_life_days * 86_400_000
    broken_promises = compare(
        log,
        Stored.read(broken.database.url),
        before=before,
        size=shape.size,
        step=shape.step,
        half_life_ms=half_life_ms,
    )
    figures = campaign.figures() | {
        "events acknowledged": len(log.acknowledged),
        "events per second, over the whole run": round(len(log.acknowledged) / took_s),
        "requests to APIs sent again": clients.num_retries,
        "stood still": stood_still,
    }
    return figures, broken_promises | {"not recovered in time": len(stood_still)}


@contextmanager
def noted(stood_still: list[str]) -> Iterator[None]:
    """What does not happen in its time is noted, and ends the block."""
    try:
        yield
    except Overdue as error:
        say(f"stood still: {error}")
        stood_still.append(str(error))


def main() -> int:
    """Break and publish; the exit code."""
    given = options()
    counts = {name: getattr(given, name) for name in FULL}
    chosen = {name: QUICK[name] if given.quick else FULL[name] for name in FULL}
    counts = {name: chosen[name] if count is None else count for name, count in counts.items()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL may run under another account
        try:
            with system(folder) as broken:
                figures, broken_promises = run(broken, given, counts)
        except BaseException:
            show_logs(folder)
            raise
        if any(broken_promises.values()):
            show_logs(folder)
    publish("faults while events flow", {**figures, "broken promises": broken_promises})
    return 1 if any(broken_promises.values()) else 0


def show_logs(folder: Path) -> None:
    """The end of what each process said, for whoever looks for the cause."""
    for log in sorted((folder / "logs").glob("*.log")):
        sys.stderr.write(f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}\n")


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one or two of each fault")
    for name, count in FULL.items():
        parser.add_argument(f"--{name}", type=int, metavar="N", help=f"how many; {count}, with --quick {QUICK[name]}")
    parser.add_argument("--rate", type=float, default=1000.0, help="events per second into Kafka")
    parser.add_argument("--users", type=int, default=2000, help="whose events they are")
    parser.add_argument("--seed", type=int, default=0, help="the order of the faults")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
