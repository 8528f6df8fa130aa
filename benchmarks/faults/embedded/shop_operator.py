"""What an operator of the embedded system does beside the clients: import, back up, train and promote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.faults.clients.backups import TrafficMoment
from benchmarks.faults.clients.calls import Json, Outages
from benchmarks.faults.clients.operator_commands import Operator
from benchmarks.faults.clients.shop_client import now_ms

IMPORTED_ROWS = 2_000
IMPORTED_COLUMNS = "user_id,item_id,time,type,,event_id"
FAILED = 2  # the exit status of a command that was refused, as by a lease


class ShopOperator(Operator):
    """One operator.

    `champion`: the version promoted last, as acknowledged. `imported`: the ids of the events of all files that were
    imported.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        *,
        versions: Sequence[str],
        items: Sequence[str],
        seed: int,
        outages: Outages,
        moment: Callable[[], TrafficMoment],
    ) -> None:
        super().__init__(folder, [url], seed=seed, outages=outages, moment=moment)
        self.champion = versions[0]
        self.imported: dict[str, tuple[str, str, int]] = {}
        self._versions, self._known_items = versions, items

    def tasks(self) -> Sequence[Callable[[], None]]:
        """What it does, over and over, each time in another order."""
        return (
            self._import_events,
            self._promote,
            self._import_catalogue,
            self._back_up,
            self._promote,
            self._train,
            self._import_catalogue,
        )

    def _import_events(self) -> None:
        number = next(self._numbers)
        rows = [self._row(f"import-{number}-{index}") for index in range(IMPORTED_ROWS)]
        path = self._file(f"import-{number}", rows)
        self._until_done("import", ["import", "--events", str(path), "--columns", IMPORTED_COLUMNS])
        self.imported |= {row["event_id"]: (row["user_id"], row["item_id"], row["time"]) for row in rows}

    def _row(self, event_id: str) -> Json:
        user_id, item_id = f"imported-{self._rng.randrange(50)}", self._rng.choice(self._known_items)
        return {"event_id": event_id, "user_id": user_id, "item_id": item_id, "type": "view", "time": now_ms()}

    def _train(self) -> None:
        self._until_done("learn", ["learn", "--once", "--now"], allowed=(0, FAILED))

    def _promote(self) -> None:
        version = next(version for version in self._versions if version != self.champion)
        self._calls.until_answered("POST", f"/v1/models/{version}/promote", done=(422,), json={"force": True})
        self.champion = version
