"""Backups made while clients call: of one moment between what they were told before and what they had sent after."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faults.clients.answers import Query
from benchmarks.faults.clients.comparison import champions, event_key, keys_of_events
from benchmarks.faults.clients.promises import Promises, merged
from benchmarks.faults.clients.shop_client import ShopClient
from tidewise.backups import restore_backup
from tidewise.settings.schema import CONFIG_NAME, Settings, load_settings


@dataclass(frozen=True)
class TrafficMoment:
    """What clients have been told by a moment, and what they have sent.

    `stored`: the ids of acknowledged events. `gone`: of those that were undone, or erased with their user.
    `num_made`: the number of events of each client. `sizes`: of the ledgers of other senders, in bytes.
    """

    stored: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    num_made: Sequence[int] = ()
    sizes: Mapping[Path, int] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredBackup:
    """A backup, the moment before its command began and the one after it ended."""

    folder: Path
    began: TrafficMoment
    ended: TrafficMoment


def moment_of(clients: Sequence[ShopClient], ledgers: Iterable[Path] = ()) -> TrafficMoment:
    """The present moment; clients may go on meanwhile."""
    sizes = {ledger: ledger.stat().st_size for ledger in ledgers if ledger.exists()}
    stored, gone = set[str](), set[str]()
    for promises in [client.promises for client in clients]:
        undone, erased = promises.undone.copy(), promises.erased.copy()
        events = promises.events.copy()
        lost = {name for name, event in events.items() if name in undone or event["user_id"] in erased}
        stored |= events.keys() - lost
        gone |= lost
    return TrafficMoment(frozenset(stored), frozenset(gone), [client.num_made for client in clients], sizes)


def restored(backup: StoredBackup, data: Path, folder: Path, overrides: Mapping[str, str]) -> Settings:
    """Restore a backup of the data folder `data` into a new folder and a new database; returns their settings.

    `overrides`: settings other than those of `data`, as the address of the new database.
    """
    folder.mkdir()
    shutil.copy(data / CONFIG_NAME, folder)
    settings = load_settings(overrides={**overrides, "data.folder": str(folder)}, environment={})
    restore_backup(backup.folder, settings, progress=lambda _step: None)
    return settings


def backup_violations(
    query: Query, backup: StoredBackup, clients: Sequence[ShopClient], models: Path
) -> dict[str, int]:
    """The number of violations of each promise about a backup, in the database restored from it.

    `models`: the restored folder of models.
    """
    made_later = [
        name
        for client, num_made in zip(clients, backup.ended.num_made, strict=True)
        for name in client.events_since(num_made)
    ]
    told = merged([client.promises for client in clients])
    versions = champions(query)
    return {
        **event_violations(keys_of_events(query), backup.began, told, made_later),
        "champion without files in the backup": int(len(versions) != 1 or not (models / versions[0]).is_dir()),
    }


def event_violations(
    stored: Collection[bytes], began: TrafficMoment, told: Promises, made_later: Iterable[str]
) -> dict[str, int]:
    """Those about events. `told`: by the end of the campaign. `made_later`: events made after the backup."""
    kept = began.stored & told.stored_events().keys()  # what was undone since may be in the backup, or not
    return {
        "missing in the backup": sum(event_key(name) not in stored for name in kept),
        "undone or erased, but in the backup": sum(event_key(name) in stored for name in began.gone),
        "sent after the backup, but in it": sum(event_key(name) in stored for name in made_later),
    }
