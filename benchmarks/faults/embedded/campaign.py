"""One round of a campaign: clients and an operator at work, incidents, and the comparison at the end."""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.faults.clients.answers import Span, result_violations
from benchmarks.faults.clients.backups import backup_violations, moment_of, restored
from benchmarks.faults.clients.calls import Outages
from benchmarks.faults.clients.comparison import champions, compare, keys_of_events, num_different
from benchmarks.faults.clients.promises import merged
from benchmarks.faults.clients.shop_client import EXPERIMENT, ShopClient, prepare
from benchmarks.faults.clients.work import working
from benchmarks.faults.embedded.faults import Incident, cause
from benchmarks.faults.embedded.server import SupervisedServer
from benchmarks.faults.embedded.shop_operator import ShopOperator
from core.records.stored import ModelRecord
from tidewise.bootstrap import MODELS_FOLDER, open_system
from tidewise.settings.schema import CONFIG_NAME, DATABASE_NAME, Settings, load_settings

NUM_CLIENTS = 4
SETTINGS = "\n[learn]\nmode = 'propose'\nlease_s = 1\nevery_events = 300\nepochs = 1\n"


@dataclass
class Round:
    """The result: what was hit, how long until all ran again, how long no call was answered, violated promises.

    `num_items`: those whose fields were compared, among them those of the catalogue that was imported again and again.
    """

    incidents: list[dict[str, object]] = field(default_factory=list)
    violations: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    num_events: int = 0
    num_items: int = 0


def run_round(
    shop: Path, folder: Path, *, seed: int, incidents: Sequence[Incident], report: Callable[[str], None]
) -> Round:
    """Cause incidents on a copy of the shop in `shop`, and compare what is stored with what clients were told.

    `folder`: an empty one. `seed`: of the clients and of which process is hit. `report` is called with a line for each
    incident.
    """
    data, rng, result, outages = folder / "data", random.Random(seed), Round(), Outages()
    faults: list[Span] = []
    versions = _copy(shop, data)
    before = _stored_keys(data)
    server = SupervisedServer(data)
    with ExitStack() as stack:
        stack.enter_context(server.adjustable_clocks())
        server.start()
        stack.callback(server.stop)
        server.await_ready()
        items = prepare([server.url], outages)
        clients = [
            ShopClient(number, [server.url], items=items, seed=seed, outages=outages) for number in range(NUM_CLIENTS)
        ]
        operator = ShopOperator(
            data,
            server.url,
            versions=versions,
            items=items,
            seed=seed,
            outages=outages,
            moment=partial(moment_of, clients),
        )
        with working([*clients, operator]):
            for number, incident in enumerate(incidents, start=1):
                began_s = time.monotonic()
                hit, recovery_s = _cause(incident, server, operator, rng)
                faults.append((began_s, time.monotonic()))
                unanswered_s = outages.longest_s()
                result.incidents.append(
                    {"hit": hit, "ready_s": round(recovery_s, 2), "unanswered_s": round(unanswered_s, 2)}
                )
                times = f"ready after {recovery_s:.2f} s, {unanswered_s:.2f} s without an answer"
                report(f"{number}/{len(incidents)} {hit}: {times}")
            time.sleep(1.5)  # an answer is written at most a second later, and its events are attributed then
        server.await_ready()
    told = merged([client.promises for client in clients])
    told.items |= operator.items
    result.num_events, result.num_items = len(told.events), len(told.items)
    with _database(data) as database:
        result.violations = compare(database.execute, told, imported=operator.imported, before=before, faults=faults)
        result.violations |= result_violations(database.execute, settings_in(data), experiment=EXPERIMENT)
        result.violations["wrong champion"] = int(champions(database.execute) != [operator.champion])
    result.violations["derived state"] = num_different(settings_in(data))
    result.violations |= _backup_violations(operator, folder / "restored", clients)
    return result


def _cause(
    incident: Incident, server: SupervisedServer, operator: ShopOperator, rng: random.Random
) -> tuple[str, float]:
    """Cause an incident, and wait until every process runs; returns what was hit and the seconds since."""
    hit = cause(incident, server, operator, rng)
    caused_s = time.monotonic()
    server.await_ready()
    return hit, time.monotonic() - caused_s


def _copy(shop: Path, data: Path) -> list[str]:
    """Copy a shop, with a copy of its model as a second version; returns both versions."""
    shutil.copytree(shop, data)
    with (data / CONFIG_NAME).open("a") as config:
        config.write(SETTINGS)
    with open_system(settings_in(data)) as system, system.store.transaction() as tx:
        champion = next(record for record in tx.models.all() if record.status == "champion")
        second = ModelRecord("second", "models/second", "retired", champion.created_ms - 1)
        shutil.copytree(data / champion.path, data / second.path)
        manifest = data / second.path / "manifest.json"
        manifest.write_text(manifest.read_text().replace(champion.version, second.version))
        tx.models.save(second)
        tx.commit()
    return [champion.version, second.version]


def settings_in(folder: Path) -> Settings:
    """The settings of a data folder."""
    return load_settings(overrides={"data.folder": str(folder)}, environment={})


def _database(folder: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(folder / DATABASE_NAME))


def _stored_keys(folder: Path) -> set[bytes]:
    with _database(folder) as database:
        return keys_of_events(database.execute)


def _backup_violations(operator: ShopOperator, folder: Path, clients: Sequence[ShopClient]) -> dict[str, int]:
    """Restore the newest backup: it is of one moment while it was made, and its derived state agrees."""
    if operator.backup is None:
        return {}
    settings = restored(operator.backup, operator.data, folder, {})
    with _database(folder) as database:
        violations = backup_violations(database.execute, operator.backup, clients, folder / MODELS_FOLDER)
    return violations | {"derived state of the backup": num_different(settings)}
