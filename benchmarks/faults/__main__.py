"""Faults during traffic: lost events, events counted twice, and the duration of each recovery.

    python -m benchmarks.faults            the full campaign; starts all servers itself, the last line is JSON
    python -m benchmarks.faults --quick    one or two of each
    python -m benchmarks.faults --old CHECKOUT    no faults, but a rolling upgrade from another version

Events are sent to Kafka at a rate, clients post to two APIs, two workers apply. Shoppers use the rest of the API: they
undo, merge, erase, change items and users, and read answers under an experiment; an operator imports a catalogue again
and again and backs up; a trainer fine-tunes and promotes, a monitor watches. Workers, broker, PostgreSQL, APIs, trainer
and monitor are killed and restarted, also two of them within a second; workers are suspended past their session, join
and leave; a proxy makes PostgreSQL slow or silent, or resets all connections to it. After unexpected exits processes
are restarted and counted. A recovery ends when a click sent after the fault to every partition is in the database. At
the end the database, and one restored from the newest backup, are compared with the senders' ledgers and with what
shoppers and operator were told, models and drift with what trainer and monitor must have done. The exit code is 1 where
a promise was broken, or a recovery took more than 90 s, which ends the campaign.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from benchmarks.faults import trainer_and_monitor
from benchmarks.faults.campaign import Campaign, plan, report, upgrade
from benchmarks.faults.clients.answers import Span
from benchmarks.faults.clients.backups import restored
from benchmarks.faults.clients.shop_client import NAMES
from benchmarks.faults.ledger import Ledger, LedgerRecords, Stored, compare, event_key
from benchmarks.faults.processes import RecoveryTimeout
from benchmarks.faults.shoppers import Shoppers
from benchmarks.faults.system import DistributedSystem, shop, system, url_of_settings
from benchmarks.faults.traffic import ApiClients, EventStream, Probes, sending, with_long_timeout
from benchmarks.report import publish
from core.clock import DAY_MS
from tidewise.processes.kafka import kafka_settings
from tidewise.settings.schema import Settings

FULL = {
    "workers": 20,
    "brokers": 5,
    "databases": 5,
    "doubles": 8,
    "apis": 10,
    "trainers": 4,
    "monitors": 2,
    "zombies": 5,
    "joins": 3,
    "slows": 3,
    "losses": 6,
}
QUICK = {
    "workers": 2,
    "brokers": 1,
    "databases": 2,
    "doubles": 1,
    "apis": 1,
    "trainers": 2,
    "monitors": 1,
    "zombies": 1,
    "joins": 1,
    "slows": 1,
    "losses": 2,
}


def run(
    target: DistributedSystem, options: argparse.Namespace, counts: dict[str, int]
) -> tuple[dict[str, object], dict[str, int]]:
    """Send events, cause faults, compare; returns the figures, and the number of violations of each guarantee.

    A recovery that exceeds its timeout ends the campaign; the comparison still runs.
    """
    settings = target.settings()
    kafka = with_long_timeout(kafka_settings(settings))
    items = [item.item_id for item in shop().items]
    before = Stored.read(target.database.url)
    urls = [api.url for api in target.apis]
    stream = EventStream(kafka, options.rate, options.users, items, target.folder / "stream.ledger")
    clients = ApiClients(urls, num_clients=2, items=items, folder=target.folder)
    probe_ledger = target.folder / "probes.ledger"
    timeouts: list[str] = []
    faults: list[Span] = []
    ledgers = [stream.ledger, probe_ledger, *clients.ledgers]
    shoppers = Shoppers(urls, target.data, num=options.shoppers, seed=options.seed, ledgers=ledgers)
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(probe_ledger))
        probes = stack.enter_context(closing(Probes(kafka, target.database.url, item_id=items[0], ledger=ledger)))
        campaign = Campaign(target, probes, random.Random(options.seed))
        started_s = time.monotonic()
        with recorded(timeouts), sending(stream), clients.posting(), shoppers.shopping(), recorded(timeouts):
            campaign.recovered("no fault", time.monotonic())
            steps = plan(campaign, counts) if options.old is None else upgrade(campaign)
            for cause_fault in steps:
                began_s = time.monotonic()
                try:
                    cause_fault()
                finally:
                    faults.append((began_s, time.monotonic()))
        duration_s = time.monotonic() - started_s
        with recorded(timeouts):
            campaign.probes.recovery_s(time.monotonic())  # after all other events of each partition
            trainer_and_monitor.finish(target)
    records = LedgerRecords.read(ledgers)
    violations = ledger_violations(records, target.database.url, settings, before=before)
    violations |= trainer_and_monitor.violations(target)
    if options.shoppers:
        violations |= backups_violations(target, shoppers, before=before)
        del violations["wrong popularity"]  # they view, undo and erase the same items: a part of the derived state
        old, sent = {row.key for row in before.rows}, {event_key(event_id) for event_id in records.sent}
        violations |= shoppers.violations(target.database.url, settings, before=old, others=sent, faults=faults)
    figures = (
        campaign.figures()
        | trainer_and_monitor.figures(target)
        | shoppers.figures()
        | {
            "events acknowledged": len(records.acknowledged),
            "events per second, over the whole run": round(len(records.acknowledged) / duration_s),
            "requests to APIs retried": clients.num_retries,
            "recovery timeouts": timeouts,
        }
    )
    return figures, violations | {"recovery timeouts": len(timeouts)}


def ledger_violations(records: LedgerRecords, url: str, settings: Settings, *, before: Stored) -> dict[str, int]:
    """The number of violations of each promise to the senders with ledgers, in PostgreSQL at `url`."""
    return compare(
        records,
        Stored.read(url).without(NAMES),
        before=before,
        size=settings.window.size,
        step=settings.window.step,
        half_life_ms=settings.popularity.half_life_days * DAY_MS,
    )


def backups_violations(target: DistributedSystem, shoppers: Shoppers, *, before: Stored) -> dict[str, int]:
    """The number of violations of each promise about the newest backup, restored into a new database and folder."""
    backups, found = shoppers.backups(), Counter[str]()
    for backup in backups:
        url, folder = target.database.create_empty("restored"), target.folder / "restored"
        settings = restored(backup, target.data, folder, {"database.url": url_of_settings(url)})
        found.update(shoppers.backup_violations(url, settings, backup))
        records, applied = LedgerRecords.read_until(backup.ended.sizes), LedgerRecords.read_until(backup.began.sizes)
        records.acknowledged = set(applied.reported_seqs)  # Kafka had the others, to be applied after the backup
        records.reported_seqs = applied.reported_seqs
        from_ledgers = ledger_violations(records, url, settings, before=before)
        found.update({f"backup: {promise}": num for promise, num in from_ledgers.items()})
        del found["backup: wrong popularity"]
    return {"no backup": int(not backups), **found}


@contextmanager
def recorded(timeouts: list[str]) -> Iterator[None]:
    """Record a timeout, which ends the block."""
    try:
        yield
    except RecoveryTimeout as error:
        report(f"timeout: {error}")
        timeouts.append(str(error))


def main() -> int:
    """Run the campaign and publish; returns the exit code."""
    options = parse_options()
    counts = {name: getattr(options, name) for name in FULL}
    defaults = {name: QUICK[name] if options.quick else FULL[name] for name in FULL}
    counts = {name: defaults[name] if count is None else count for name, count in counts.items()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL may run under another account
        try:
            with system(folder, options.old) as target:
                figures, violations = run(target, options, counts)
        except BaseException:
            show_logs(folder)
            raise
        if any(violations.values()):
            show_logs(folder)
    publish("faults during traffic", {**figures, "violations": violations})
    return 1 if any(violations.values()) else 0


def show_logs(folder: Path) -> None:
    """Print the end of each process's log."""
    for log in sorted((folder / "logs").glob("*.log")):
        sys.stderr.write(f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}\n")


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one or two of each fault")
    for name, count in FULL.items():
        parser.add_argument(f"--{name}", type=int, metavar="N", help=f"how many; {count}, with --quick {QUICK[name]}")
    parser.add_argument("--old", type=Path, help="a checkout of another version, from which to upgrade instead")
    parser.add_argument("--rate", type=float, default=1000.0, help="events per second into Kafka")
    parser.add_argument("--users", type=int, default=2000, help="number of users")
    parser.add_argument("--shoppers", type=int, default=2, help="clients that use the rest of the API")
    parser.add_argument("--seed", type=int, default=0, help="of the faults: their order, moments and processes")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
