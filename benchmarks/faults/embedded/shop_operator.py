"""What operators do beside the clients: import, back up, train and promote, one after the other, until stopped.

A command that is killed is run again, as an operator would.
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.faults.clients.calls import Calls, Outages
from benchmarks.faults.clients.shop_client import now_ms
from benchmarks.faults.clients.work import StoppableWork
from tidewise.processes.children import running

IMPORTED_ROWS = 2_000
IMPORTED_COLUMNS = "user_id,item_id,time,type,,event_id"
FAILED = 2  # the exit status of a command that was refused, as by a lease
COMMAND_TIMEOUT_S = 1200.0  # a training takes 20 s, on a machine busy with other things minutes


class Operator(StoppableWork):
    """One operator.

    `champion`: the version promoted last, as acknowledged. `backups`: each with the events acknowledged before it.
    `imported`: the ids of the events of all files that were imported.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        *,
        versions: Sequence[str],
        items: Sequence[str],
        acknowledged: Callable[[], set[str]],
        seed: int,
        outages: Outages,
    ) -> None:
        super().__init__("operator")
        self.champion = versions[0]
        self.backups: list[tuple[Path, set[str]]] = []
        self.imported: dict[str, tuple[str, str, int]] = {}
        self.data, self._url, self._outages = folder, url, outages
        self._versions, self._items, self._acknowledged = versions, items, acknowledged
        self._rng = random.Random(seed)
        self._command: tuple[str, subprocess.Popen[bytes]] | None = None
        self._numbers = itertools.count()

    def command(self) -> tuple[str, int] | None:
        """The name and process id of the command that runs now."""
        command = self._command
        return None if command is None else (command[0], command[1].pid)

    def work(self) -> None:
        """Do one task after the other until stopped."""
        tasks = (self._import, self._promote, self._back_up, self._promote, self._train)
        with Calls([self._url], self._outages) as self._calls:
            for task in itertools.cycle(tasks):
                if self.stopping.wait(0.1):
                    return
                task()

    def _until_done(self, name: str, arguments: Sequence[str], *, allowed: Sequence[int] = (0,)) -> None:
        """Run a command until it ends by itself."""
        log = self.data.parent / f"{name}.log"
        while True:
            with running([*arguments, "--data", str(self.data)], log=log) as process:
                self._command = (name, process)
                status = process.wait(COMMAND_TIMEOUT_S)
                self._command = None
            if status in allowed:
                return
            if status >= 0 and self.stopping.is_set():
                msg = f"`tidewise {name}` ended with {status}: {log.read_text(errors='replace')[-1500:]}"
                raise RuntimeError(msg)

    def _import(self) -> None:
        number = next(self._numbers)
        path = self.data.parent / f"import-{number}.jsonl"
        rows = [self._row(f"import-{number}-{index}") for index in range(IMPORTED_ROWS)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        self._until_done("import", ["import", "--events", str(path), "--columns", IMPORTED_COLUMNS])
        self.imported |= {row["event_id"]: (row["user_id"], row["item_id"], row["time"]) for row in rows}

    def _row(self, event_id: str) -> dict[str, Any]:
        user_id, item_id = f"imported-{self._rng.randrange(50)}", self._rng.choice(self._items)
        return {"event_id": event_id, "user_id": user_id, "item_id": item_id, "type": "view", "time": now_ms()}

    def _back_up(self) -> None:
        acknowledged = self._acknowledged()
        while (target := self.data.parent / f"backup-{next(self._numbers)}").exists():
            pass
        self._until_done("backup", ["backup", str(target)])
        if self.backups:
            shutil.rmtree(self.backups.pop()[0])
        self.backups.append((target, acknowledged))

    def _train(self) -> None:
        self._until_done("learn", ["learn", "--once", "--now"], allowed=(0, FAILED))

    def _promote(self) -> None:
        version = next(version for version in self._versions if version != self.champion)
        self._calls.until_answered("POST", f"/v1/models/{version}/promote", done=(422,), json={"force": True})
        self.champion = version
