"""Run the services of docker-compose.yml as local processes: Kafka, PostgreSQL, workers, APIs, trainer, monitor.

    python scripts/stack.py [--data FOLDER] [--brokers N] [--exit]

Needs Java 17, Maven (once, for Kafka's jars) and PostgreSQL's server binaries; names what is missing and installs
nothing. The first run loads a simulated shop through the API and trains a model; later runs use both. The proxy,
Prometheus, Alertmanager and Grafana run only in Compose.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import compose
import compose_kafka
import psycopg
from local_postgres import NoPostgres, PostgresServer, find_binaries
from psycopg import sql

from core.catalogue.items import Item
from tidewise.client import ApiError, Client, event_json
from tidewise.demo.demo import make_shop
from tidewise.demo.guide import ids_of
from tidewise.demo.simulator import Shop
from tidewise.process_setup import own_command
from tidewise.processes.children import ProcessError, free_port, wait_ready

ROOT = Path(__file__).resolve().parents[1]
KAFKA = ROOT / "scripts" / "kafka.sh"
POSTGRES_PORT = 25432
BATCH = 1000
EPOCHS = 6  # enough for a small shop
TIMEOUT_S = 300.0


def main() -> int:
    """Start everything, show a click, run until Ctrl-C; the exit code."""
    parser = argparse.ArgumentParser(description="Run the services of docker-compose.yml as local processes.")
    parser.add_argument("--data", type=Path, default=ROOT / ".tidewise" / "stack", help="folder for all state and logs")
    parser.add_argument("--brokers", type=int, choices=[1, 3], default=1, help="how many brokers to start (default: 1)")
    parser.add_argument("--exit", action="store_true", help="exit after the demonstration")
    options = parser.parse_args()
    if names := missing():
        say("make stack: missing on this machine:", *(f"  - {what}" for what in names))
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: whatever was started is ended
    try:
        with ExitStack() as stack:
            apis = start(stack, options.data.resolve(), num_brokers=options.brokers)
            show_click(*apis[:2])
            if not options.exit:
                say("Running until Ctrl-C.")
                signal.pause()
    except (ApiError, NoPostgres, ProcessError, subprocess.CalledProcessError) as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("ended")
    return 0


class Ports:
    """Free ports, each returned once: the preferred one, one near it, or any."""

    def __init__(self) -> None:
        self._used: set[int] = set()

    def __call__(self, preferred: int) -> int:
        """A port that was not returned before."""
        for port in range(preferred, preferred + 20):
            if port not in self._used and free_port(port) == port:
                self._used.add(port)
                return port
        self._used.add(any_port := free_port(0))
        return any_port


def missing() -> list[str]:
    """The programs that are missing on this machine, with what to install."""
    names = []
    if shutil.which("java") is None:
        names.append("Java 17 or newer (Debian: openjdk-17-jre-headless)")
    if shutil.which("mvn") is None and not list((ROOT / ".cache" / "kafka").glob("jars-*")):
        names.append("Maven, to fetch Kafka's jars once (Debian: maven)")
    try:
        find_binaries()
    except NoPostgres:
        names.append("PostgreSQL's server programs (Debian: postgresql)")
    return names


def start(stack: ExitStack, folder: Path, *, num_brokers: int) -> list[Client]:
    """Start our services of docker-compose.yml in their order; clients of the APIs."""
    for name in ("postgres", "logs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    subprocess.run([ROOT / "scripts" / "secrets.sh", folder / "secrets"], check=True)
    services = compose.read(ROOT / "docker-compose.yml")
    ports = Ports()
    addresses = compose.Addresses(
        kafka=stack.enter_context(kafka(services, folder, num_brokers=num_brokers, port=ports)),
        postgres=stack.enter_context(postgres(folder)),
        folder=folder / "data",
        secrets=folder / "secrets",
        port=ports,
    )
    planned = compose.plan(services, variables=os.environ, addresses=addresses)
    key_file = addresses.secrets / "api_key"
    key = key_file.read_text()
    for service in planned:
        if service.runs_once:
            subprocess.run(command_of(service.command), env=environment_of(service), check=True)
    long_running = [service for service in planned if not service.runs_once]
    running = [(service, stack.enter_context(process(service, folder))) for service in long_running]
    apis = []
    for service, child in running:
        say(f"{service.name}: tidewise {' '.join(service.command)}  metrics at {service.metrics_url}/metrics")
        if service.url:
            wait_ready(child, service.url, log=log_of(service, folder), timeout_s=TIMEOUT_S)
            apis.append(stack.enter_context(Client(service.url, api_key=key)))
    prepare(apis, long_running[0])
    for service, child in running:
        if child.poll() is not None:
            msg = f"{service.name} ended with code {child.returncode}; its log is {log_of(service, folder)}"
            raise ProcessError(msg)
    say(f"APIs: {', '.join(api.base_url for api in apis)}   key: in {key_file}   logs: {folder / 'logs'}")
    return apis


def prepare(apis: Sequence[Client], any_service: compose.Service) -> None:
    """Load the simulated shop through the API, and so through Kafka, and train, unless an earlier run has done so."""
    api = apis[0]
    if not api.status()["listed_items"]:
        load(api, make_shop())
    if api.status()["model"]["champion"] is None:
        say("training a first model ...")
        train = command_of(["train", "--force", "--set", f"train.epochs={EPOCHS}", "--json"])
        subprocess.run(train, env=environment_of(any_service), check=True, stdout=subprocess.DEVNULL)
    until("every API has the model", lambda: all(client.status()["model"]["serving"] is not None for client in apis))


def load(api: Client, shop: Shop) -> None:
    """Send events through Kafka and items to the API."""
    say(f"loading a simulated shop: {len(shop.items):,} items, {len(shop.history):,} events ...")
    started_s = time.perf_counter()
    for first in range(0, len(shop.history), BATCH):
        api.send([event_json(event) for event in shop.history[first : first + BATCH]])
    until("workers have applied the history", lambda: api.status()["events"] >= len(shop.history))
    say(f"applied by the workers: {len(shop.history) / (time.perf_counter() - started_s):,.0f} events/s")
    api.put_items([_item_json(item) for item in shop.items])  # last: items in the catalogue mean that all is loaded


def show_click(first: Client, second: Client) -> None:
    """Send a click to one API; print the other's answers before and after it."""
    user_id = make_shop().typical_user()
    before = second.recommend(user_id)
    first.send([_click(user_id, ids_of(before)[-1], "warm-up")], wait=True)  # first requests are slower
    before = second.recommend(user_id)
    clicked = ids_of(before)[0]
    started_s = time.perf_counter()
    [result] = first.send([_click(user_id, clicked, "click")], wait=True)
    after = second.recommend(user_id)
    took_ms = (time.perf_counter() - started_s) * 1000
    if result["status"] != "accepted" or after["user_seq"] < result["user_seq"] or clicked in ids_of(after):
        msg = f"the answer of {second.base_url} does not reflect the click: {result}, then {after}"
        raise ApiError(msg)
    say(
        f"{user_id} clicks {clicked} at {first.base_url}; {took_ms:.0f} ms later {second.base_url} answers with it:",
        f"  before {' '.join(ids_of(before))}",
        f"  after  {' '.join(ids_of(after))}",
    )


def _item_json(item: Item) -> dict[str, object]:
    return {"item_id": item.item_id, "title": item.title, "text": item.text, "categories": list(item.categories)}


def _click(user_id: str, item_id: str, name: str) -> dict[str, str]:
    return {"event_id": f"stack-{name}-{secrets.token_hex(4)}", "user_id": user_id, "item_id": item_id}


@contextmanager
def kafka(services: Mapping[str, Any], folder: Path, *, num_brokers: int, port: Ports) -> Iterator[list[str]]:
    """The brokers; their addresses."""
    brokers = compose_kafka.plan(
        services, num_brokers=num_brokers, folder=folder / "kafka", secrets=folder / "secrets", port=port
    )
    try:
        # Together: none answers before most of the voters run.
        started = [subprocess.Popen([KAFKA, "start"], env=os.environ | broker.variables) for broker in brokers]
        if any([process.wait() for process in started]):
            msg = f"Kafka did not start; its logs are in {folder / 'kafka'}"
            raise ProcessError(msg)
        yield [broker.address for broker in brokers]
    finally:
        for broker in reversed(brokers):
            subprocess.run([KAFKA, "stop"], env=os.environ | broker.variables, check=False)


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A server with an empty or kept database `tidewise`; its address."""
    port = free_port(POSTGRES_PORT)
    server = PostgresServer(folder / "postgres", binaries=find_binaries(), port=port)
    server.initialise()
    server.start()
    try:
        with psycopg.connect(server.url, autocommit=True) as admin:
            known = admin.execute("SELECT 1 FROM pg_database WHERE datname = 'tidewise'").fetchone()
            if known is None:
                admin.execute(sql.SQL("CREATE DATABASE tidewise"))
        yield f"127.0.0.1:{port}"
    finally:
        server.stop()


@contextmanager
def process(service: compose.Service, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A service as a process in its own session, so that Ctrl-C reaches it through us only."""
    with log_of(service, folder).open("wb") as log:
        child = subprocess.Popen(
            command_of(service.command),
            env=environment_of(service),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(20.0)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def command_of(command: Sequence[str]) -> list[str]:
    """The command line of a service, whose entry point is `tidewise`."""
    return own_command(*command)


def environment_of(service: compose.Service) -> dict[str, str]:
    """The service's variables, and those of this process that are no settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDEWISE_")}
    return {**kept, **service.environment, "PYTHONUNBUFFERED": "1"}


def log_of(service: compose.Service, folder: Path) -> Path:
    """The log of a service."""
    return folder / "logs" / f"{service.name}.log"


def until(what: str, reached: Callable[[], bool]) -> None:
    """Wait for a condition."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while not reached():
        if time.monotonic() > deadline_s:
            msg = f"waited {TIMEOUT_S:.0f} s until {what}, and gave up; see the logs of the services"
            raise ProcessError(msg)
        time.sleep(0.1)


def say(*lines: str) -> None:
    """Print lines."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
