"""A distributed system whose servers and processes may be killed and restarted.

Independent of the traffic and of the order of faults.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.faults.processes import (
    POLL_S,
    START_S,
    TIMEOUT_S,
    Api,
    Child,
    RecoveryTimeout,
    environment_of,
    supervised,
)
from benchmarks.faults.proxy import DatabaseProxy, proxied
from benchmarks.streaming.servers import ROOT, Servers
from scripts.local_postgres import NoPostgres, PostgresServer, find_binaries
from tidewise.bootstrap import open_system
from tidewise.demo.demo import fill
from tidewise.demo.simulator import Shop, simulate_shop
from tidewise.processes.children import free_port
from tidewise.settings.schema import CONFIG_NAME, Settings, load_settings

# As small as possible: events do not depend on it.
SMALL_MODEL = """
[model]
width = 16
layers = 1
experts = 2
text_dim = 16

[train]
epochs = 1
threads = 1
"""

# Six partitions: Faust assigns no worker more than its share rounded up, so of four the third worker would get none.
CONFIG = (
    """
[database]
url = "{database}"

[kafka]
bootstrap_servers = "{kafka}"
partitions = 6
"""
    + SMALL_MODEL
    + """
[learn]
epochs = 1
max_minutes = 0.2
replay_ratio = 0
lease_s = 5
noninferiority_margin = 0.99 # clicks at random: no model is better than another, and most are promoted
"""
)


def shop() -> Shop:
    """The content of the database before the first fault."""
    return simulate_shop(seed=3, num_users=40, num_items=336, days=20, live_days=1)


def fill_and_train(settings: Settings) -> None:
    """Fill a new database with the shop, and train a model."""
    from tidewise.training.learning import train_model

    with open_system(settings) as system:
        fill(system, shop())
        train_model(system, progress=lambda _: None)


FILL_AND_TRAIN = """
import sys
from benchmarks.faults.system import fill_and_train
from tidewise.settings.schema import load_settings
fill_and_train(load_settings(overrides={"data.folder": sys.argv[1]}, environment={}))
"""


# A broker that is killed every minute would spend half of its CPU on optimising its code.
SHORT_LIVED_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


class Broker:
    """One Kafka broker by `scripts/kafka.sh`."""

    def __init__(self, folder: Path) -> None:
        port = free_port(0)
        self.address = f"127.0.0.1:{port}"
        variables = {"KAFKA_PORT": str(port), "KAFKA_CONTROLLER_PORT": str(free_port(0)), "KAFKA_INSTANCE": str(folder)}
        limits = {"KAFKA_JVM": SHORT_LIVED_JVM, "KAFKA_START_TIMEOUT_S": f"{START_S:.0f}"}
        self._environment = {**os.environ, **variables, **limits}

    def command(self, name: str) -> None:
        """Run `start`, `stop` or `kill`, and wait for it."""
        command = [str(ROOT / "scripts" / "kafka.sh"), name]
        finished = subprocess.run(command, env=self._environment, stderr=subprocess.PIPE, text=True)
        if finished.returncode != 0:
            msg = f"kafka.sh {name} failed: {finished.stderr.strip()}"
            raise RecoveryTimeout(msg)


class Database:
    """One PostgreSQL server, whose files survive a crash. Tidewise reaches it by a proxy."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.port, self.proxy_port = free_port(0), free_port(0)
        self._server = PostgresServer(folder, binaries=find_binaries(), port=self.port)
        self.url = self._server.url
        self.proxied_url = self.url.replace(str(self.port), str(self.proxy_port))

    def create(self) -> None:
        """Initialise the cluster and start it."""
        self._server.initialise()
        self._server.start()

    def crash(self, how: signal.Signals) -> None:
        """SIGQUIT: every backend exits at once; SIGKILL: only the postmaster does, and backends notice later."""
        self._server.stop(how=how)

    def start(self) -> None:
        """Start it, retrying until the backends of a killed server have exited."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while True:
            try:
                return self._server.start()
            except NoPostgres as error:
                if time.monotonic() > deadline_s:
                    msg = f"PostgreSQL did not start within {TIMEOUT_S:.0f} s: {error}"
                    raise RecoveryTimeout(msg) from error
                time.sleep(POLL_S)

    def stop(self) -> None:
        """Shut it down."""
        self._server.stop()

    def create_empty(self, name: str) -> str:
        """Create another database; returns its URL."""
        with psycopg.connect(self.url, autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"{self.url.rpartition('/')[0]}/{name}"


class DistributedSystem:
    """Broker, database and processes. `checkout`: the source that these run at first; None: this one."""

    def __init__(self, folder: Path, checkout: Path | None = None) -> None:
        self.folder = folder
        self._checkout = checkout
        self.broker = Broker(folder / "kafka")
        self.database = Database(folder / "postgres")
        self.data = folder / "data"
        (folder / "logs").mkdir()
        self.children: list[Child] = []
        self.proxy: DatabaseProxy
        self.workers = [self.worker(f"worker-{number}") for number in (1, 2)]
        self.apis = [Api(f"api-{number}", folder / "logs", ["--data", str(self.data)]) for number in (1, 2)]
        self.trainer, self.monitor = (
            Child(name, folder / "logs", [command, "--data", str(self.data)])
            for name, command in (("trainer", "learn"), ("monitor", "monitor"))
        )
        self.children += [*self.apis, self.trainer, self.monitor]
        for child in self.children:
            child.checkout = checkout

    def worker(self, name: str) -> Child:
        """A worker, not yet started."""
        worker = Child(name, self.folder / "logs", ["worker", "--data", str(self.data), "--name", name])
        self.children.append(worker)
        return worker

    @property
    def unexpected_exits(self) -> dict[str, list[str]]:
        """Exit codes and logs of unexpected exits, by process."""
        return {child.name: child.unexpected_exits for child in self.children if child.unexpected_exits}

    def settings(self) -> Settings:
        """The settings of all its processes."""
        return load_settings(overrides={"data.folder": str(self.data)}, environment={})

    def prepare(self) -> None:
        """Fill the new database with a small shop and train a model."""
        servers = Servers(self.broker.address, self.database.proxied_url)
        self.data.mkdir()
        config = CONFIG.format(database=url_of_settings(servers.postgres), kafka=servers.kafka)
        (self.data / CONFIG_NAME).write_text(config)
        if self._checkout is None:
            fill_and_train(self.settings())
        else:
            command = [sys.executable, "-P", "-c", FILL_AND_TRAIN, str(self.data)]
            subprocess.run(command, env=environment_of(self._checkout), check=True)


def url_of_settings(url: str) -> str:
    """The setting `database.url` for a server's URL."""
    return url.replace("postgresql://", "postgresql+psycopg://")


@contextmanager
def system(folder: Path, checkout: Path | None = None) -> Iterator[DistributedSystem]:
    """Broker, database, two workers, two APIs, trainer and monitor, under a supervisor while the block runs.

    `checkout`: see `DistributedSystem`.
    """
    running_system = DistributedSystem(folder, checkout)
    with ExitStack() as stack:
        stack.callback(running_system.broker.command, "stop")  # also one that did not answer in time
        running_system.broker.command("start")
        stack.callback(running_system.database.stop)
        running_system.database.create()
        ports = running_system.database.proxy_port, running_system.database.port
        running_system.proxy = stack.enter_context(proxied(*ports, log=folder / "logs" / "proxy.log"))
        running_system.prepare()
        for child in running_system.children:
            child.start()
            stack.callback(child.stop)
        stack.enter_context(supervised(running_system.children))
        for worker in running_system.workers:
            worker.await_partitions(timeout_s=START_S)
        for api in running_system.apis:
            api.await_ready(timeout_s=START_S)
        yield running_system


def step_of(worker: Child, system: DistributedSystem) -> str:
    """The step of a suspended worker's commit, from the state of its connections in the database."""
    own = local_ports(worker.process.pid)
    ports = {port for port, client_port in system.proxy.client_ports().items() if client_port in own}
    with psycopg.connect(system.database.url, autocommit=True) as admin:
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


def local_ports(pid: int) -> set[int]:
    """The local TCP ports of a process, from /proc."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(descriptor.readlink().name)
        except FileNotFoundError:  # closed meanwhile
            continue
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if f"socket:[{row[9]}]" in sockets}
