"""The distributed system as processes that may be killed: broker, PostgreSQL, workers and APIs, each started again.

Knows nothing about what flows through it, nor about which fault comes when.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from benchmarks.faults.processes import PATIENCE_S, POLL_S, Api, Child, Overdue, supervised
from benchmarks.streaming.servers import ROOT, Servers
from scripts.local_postgres import NoPostgres, PostgresServer, find_binaries
from tidewise.bootstrap import open_system
from tidewise.demo.demo import fill
from tidewise.demo.simulator import Shop, simulate_shop
from tidewise.processes.children import free_port
from tidewise.settings.schema import CONFIG_NAME, Settings, load_settings

# Six partitions: Faust gives no worker more than its share rounded up, and the third of three would get none of four.
# The model is as small as can be: this is about events, and a model costs them nothing but processor time.
CONFIG = """
[database]
url = "{database}"

[kafka]
bootstrap_servers = "{kafka}"
partitions = 6

[model]
width = 16
layers = 1
experts = 2
text_dim = 16

[train]
epochs = 1
threads = 1
"""


def shop() -> Shop:
    """What is in the database before the first fault."""
    return simulate_shop(seed=3, num_users=40, num_items=336, days=20, live_days=1)


class Broker:
    """One Kafka broker by `scripts/kafka.sh`."""

    def __init__(self, folder: Path) -> None:
        port = free_port(0)
        self.address = f"127.0.0.1:{port}"
        own = {"KAFKA_PORT": str(port), "KAFKA_CONTROLLER_PORT": str(free_port(0)), "KAFKA_INSTANCE": str(folder)}
        self._environment = {**os.environ, **own}

    def command(self, name: str) -> None:
        """`start`, `stop` or `kill`; returns when that has happened."""
        recipe = [str(ROOT / "scripts" / "kafka.sh"), name]
        done = subprocess.run(recipe, env=self._environment, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            msg = f"kafka.sh {name} failed: {done.stderr.strip()}"
            raise Overdue(msg)


class Database:
    """One PostgreSQL, with its files where they survive it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._server = PostgresServer(folder, binaries=find_binaries(), port=free_port(0))
        self.url = self._server.url

    def create(self) -> None:
        """Make the cluster and start it."""
        self._server.initialise()
        self._server.start()

    def crash(self, how: signal.Signals) -> None:
        """SIGQUIT: every backend ends at once; SIGKILL: only the first process does, the others find out."""
        self._server.stop(how=how)

    def start(self) -> None:
        """Start it; backends of a killed server first have to notice, and until then it refuses."""
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self._server.start()
            except NoPostgres as error:
                if time.monotonic() > deadline_s:
                    msg = f"PostgreSQL did not start within {PATIENCE_S:.0f} s: {error}"
                    raise Overdue(msg) from error
                time.sleep(POLL_S)

    def stop(self) -> None:
        """An orderly end."""
        self._server.stop()


class System:
    """Everything, as one value."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker = Broker(folder / "kafka")
        self.database = Database(folder / "postgres")
        self.data = folder / "data"
        (folder / "logs").mkdir()
        self.children: list[Child] = []
        self.workers = [self.worker(f"worker-{number}") for number in (1, 2)]
        self.apis = [Api(f"api-{number}", folder / "logs", ["--data", str(self.data)]) for number in (1, 2)]
        self.children += self.apis

    def worker(self, name: str) -> Child:
        """A worker, not yet started."""
        made = Child(name, self.folder / "logs", ["worker", "--data", str(self.data), "--name", name])
        self.children.append(made)
        return made

    @property
    def own_ends(self) -> dict[str, list[str]]:
        """Which processes ended by themselves, each with exit code and log."""
        return {child.name: child.own_ends for child in self.children if child.own_ends}

    def settings(self) -> Settings:
        """The settings of all its processes."""
        return load_settings(overrides={"data.folder": str(self.data)}, environment={})

    def prepare(self) -> None:
        """A small shop with a model in the new database."""
        from tidewise.training.learning import train_model

        at = Servers(self.broker.address, self.database.url)
        url = at.postgres.replace("postgresql://", "postgresql+psycopg://")
        self.data.mkdir()
        (self.data / CONFIG_NAME).write_text(CONFIG.format(database=url, kafka=at.kafka))
        with open_system(self.settings()) as system:
            fill(system, shop())
            train_model(system, progress=lambda _: None)


@contextmanager
def system(folder: Path) -> Iterator[System]:
    """Broker, database, two workers and two APIs, running under a supervisor; all of them ended at the end."""
    found = System(folder)
    with ExitStack() as stack:
        found.broker.command("start")
        stack.callback(found.broker.command, "stop")
        found.database.create()
        stack.callback(found.database.stop)
        found.prepare()
        for child in (*found.workers, *found.apis):
            child.start()
            stack.callback(child.stop)
        stack.enter_context(supervised(found.children))
        for worker in found.workers:
            worker.await_partitions()
        for api in found.apis:
            api.await_ready()
        yield found


def step_of(worker: Child, database: Database) -> str:
    """Where a frozen worker stands in its commit order, as the database sees its connections."""
    ports = _local_ports(worker.process.pid)
    with psycopg.connect(database.url, autocommit=True) as admin:
        rows = admin.execute("SELECT client_port, state, query FROM pg_stat_activity WHERE client_port IS NOT NULL")
        states = Counter(_step(state, query) for port, state, query in rows if port in ports)
    for step in ("in its commit", "in a transaction"):
        if states[step]:
            return step
    return "between transactions"


def _step(state: str | None, query: str) -> str:
    if state == "active" and query.upper().startswith("COMMIT"):
        return "in its commit"
    busy = state == "active" or (state or "").startswith("idle in transaction")
    return "in a transaction" if busy else "between transactions"


def _local_ports(pid: int) -> set[int]:
    """The TCP ports that a process holds on this machine, by /proc."""
    held = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            held.add(descriptor.readlink().name)
        except FileNotFoundError:  # closed meanwhile
            continue
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if f"socket:[{row[9]}]" in held}
