"""An operator beside the clients: runs commands until they succeed, imports a catalogue again and again, and backs up.

A command that is killed, or finds the database away, is run again, as an operator would.
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.faults.clients.backups import StoredBackup, TrafficMoment
from benchmarks.faults.clients.calls import Calls, Json, Outages
from benchmarks.faults.clients.shop_client import NAMES
from benchmarks.faults.clients.work import StoppableWork
from tidewise.processes.children import running

COMMAND_TIMEOUT_S = 1200.0  # a training takes 20 s, on a machine busy with other things minutes
NUM_ITEMS = 300
NUM_HIDDEN = 5  # at most so many are hidden or shown by hand before each import


class Operator(StoppableWork):
    """One operator on the data folder `data`, also a caller of the APIs at `urls`.

    `items`: what must be stored of the items that were imported, as in `Promises`. `backup`: the newest; `num_backups`
    were made. `moment`: what clients have been told by now.
    """

    def __init__(
        self, data: Path, urls: Sequence[str], *, seed: int, outages: Outages, moment: Callable[[], TrafficMoment]
    ) -> None:
        super().__init__("operator")
        self.items: dict[str, Json | None] = {}
        self.backup: StoredBackup | None = None
        self.num_backups = 0
        self.data = data
        self._urls, self._outages = urls, outages
        self._moment = moment
        self._rng = random.Random(seed)
        self._command: tuple[str, subprocess.Popen[bytes]] | None = None
        self._numbers = itertools.count()

    def command(self) -> tuple[str, int] | None:
        """The name and process id of the command that runs now."""
        command = self._command
        return None if command is None else (command[0], command[1].pid)

    def tasks(self) -> Sequence[Callable[[], None]]:
        """What it does, over and over, each time in another order."""
        return (self._import_catalogue, self._back_up)

    def work(self) -> None:
        """Do one task after the other until stopped."""
        tasks = self.tasks()
        with Calls(self._urls, self._outages) as self._calls:
            while True:
                for task in self._rng.sample(tasks, len(tasks)):
                    if self.stopping.wait(0.1):
                        return
                    task()

    def _until_done(
        self, name: str, arguments: Sequence[str], *, allowed: Sequence[int] = (0,), makes: Path | None = None
    ) -> None:
        """Run a command until it ends by itself, or was killed after it had made the folder that it makes."""
        log = self.data.parent / f"{name}.log"
        while True:
            with running([*arguments, "--data", str(self.data)], log=log) as process:
                self._command = (name, process)
                status = process.wait(COMMAND_TIMEOUT_S)
                self._command = None
            if status in allowed or (makes is not None and makes.exists()):
                return
            if status >= 0 and self.stopping.is_set():
                msg = f"`tidewise {name}` ended with {status}: {log.read_text(errors='replace')[-1500:]}"
                raise RuntimeError(msg)

    def _import_catalogue(self) -> None:
        """Hide or show some items by hand, and import all with new titles: what was hidden by hand stays hidden."""
        for item_id in self._rng.sample(sorted(self.items), min(NUM_HIDDEN, len(self.items))):
            change = {"hidden": self._rng.random() < 0.5}
            self._calls.until_answered("PATCH", f"/v1/items/{item_id}", json=change)
            self.items[item_id] = (self.items[item_id] or {}) | change
        number = next(self._numbers)
        rows = [{"item_id": f"{NAMES}catalogue-{item}", "title": f"Import {number}"} for item in range(NUM_ITEMS)]
        path = self._file(f"catalogue-{number}", rows)
        self._until_done("import", ["import", "--items", str(path), "--item-columns", "item_id=item_id,title=title"])
        for row in rows:
            kept = self.items.get(row["item_id"]) or {"stock": None, "available_until": None, "hidden": False}
            self.items[row["item_id"]] = kept | {"title": row["title"]}

    def _back_up(self) -> None:
        began, folder = self._moment(), self.data.parent / f"backup-{next(self._numbers)}"
        self._until_done("backup", ["backup", str(folder)], makes=folder)
        if self.backup is not None:
            shutil.rmtree(self.backup.folder)
        self.backup = StoredBackup(folder, began, self._moment())
        self.num_backups += 1

    def _file(self, name: str, rows: Sequence[Json]) -> Path:
        path = self.data.parent / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path
