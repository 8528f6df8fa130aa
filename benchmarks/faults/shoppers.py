"""Clients of the whole API in the distributed campaign with an operator, and what must be stored for them."""

from __future__ import annotations

from collections.abc import Sequence, Set
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import psycopg

from benchmarks.faults.clients.answers import Span, result_violations
from benchmarks.faults.clients.backups import StoredBackup, backup_violations, moment_of
from benchmarks.faults.clients.calls import Outages
from benchmarks.faults.clients.comparison import compare, num_different
from benchmarks.faults.clients.operator_commands import Operator
from benchmarks.faults.clients.promises import Promises, merged
from benchmarks.faults.clients.shop_client import EXPERIMENT, ShopClient, prepare
from benchmarks.faults.clients.work import working
from tidewise.bootstrap import MODELS_FOLDER
from tidewise.settings.schema import Settings


class Shoppers:
    """So many clients of the APIs at `urls`, and an operator who imports into the data folder `data`, and backs it up.

    `ledgers`: of other senders.
    """

    def __init__(self, urls: Sequence[str], data: Path, *, num: int, seed: int, ledgers: Sequence[Path]) -> None:
        outages = Outages()
        items = prepare(urls, outages) if num else []
        self._clients = [ShopClient(number, urls, items=items, seed=seed, outages=outages) for number in range(num)]
        moment = partial(moment_of, self._clients, ledgers)
        self._operators = [Operator(data, urls, seed=seed, outages=outages, moment=moment)] if num else []

    def shopping(self) -> AbstractContextManager[None]:
        """They call while the block runs."""
        return working([*self._clients, *self._operators])

    def violations(
        self, url: str, settings: Settings, *, before: Set[bytes], others: Set[bytes], faults: Sequence[Span]
    ) -> dict[str, int]:
        """The number of violations of each promise to them, in PostgreSQL at `url`.

        `before`, `others`: the keys of events stored before the campaign, and of those that others have sent. `faults`:
        from the start of each until the next one could begin.
        """
        with psycopg.connect(url) as database:
            violations = compare(database.execute, self._told(), before=before, others=others, faults=faults)
            violations |= result_violations(database.execute, settings, experiment=EXPERIMENT)
        named = {f"shoppers: {promise}": num for promise, num in violations.items()}
        return named | {"derived state": num_different(settings)}

    def backups(self) -> list[StoredBackup]:
        """The newest backup of each operator."""
        return [operator.backup for operator in self._operators if operator.backup is not None]

    def backup_violations(self, url: str, settings: Settings, backup: StoredBackup) -> dict[str, int]:
        """The number of violations of each promise about a backup, restored into PostgreSQL at `url`."""
        with psycopg.connect(url) as database:
            violations = backup_violations(
                database.execute, backup, self._clients, settings.data.folder / MODELS_FOLDER
            )
        return violations | {"derived state of the backup": num_different(settings)}

    def figures(self) -> dict[str, object]:
        """What they did, and which answers were wrong."""
        told = self._told()
        return {
            "events of shoppers": len(told.events),
            "undone, merged, erased": [len(told.undone), len(told.merged), len(told.erased)],
            "items imported again and again": sum(len(operator.items) for operator in self._operators),
            "backups": sum(operator.num_backups for operator in self._operators),
            "answers read by shoppers": len(told.shown),
            "wrong answers": dict(told.wrong),
        }

    def _told(self) -> Promises:
        told = merged([client.promises for client in self._clients])
        for operator in self._operators:
            told.items |= operator.items
        return told
