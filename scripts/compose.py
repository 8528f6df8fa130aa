"""Read docker-compose.yml as a plan for local processes: services, environment, order.

Commands and variables stay as they are. Only locations change: hosts and ports of other services, the data folder, the
folder of secrets and the listen addresses; and numbers of replicas, where fewer brokers run than there. Independent of
how processes are started; `compose_kafka` plans the brokers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

OUR_IMAGE = "tidewise:latest"
DATA_FOLDER = "/var/lib/tidewise"
SECRETS_FOLDER = "/run/secrets"
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of the stack on this machine.

    `kafka`: of each broker. `folder`: of data; `secrets`: of secrets. `port`: returns a free port, preferably the given
    one.
    """

    kafka: Sequence[str]
    postgres: str
    folder: Path
    secrets: Path
    port: Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Service:
    """One of our services as a process. `url`: of its API; `metrics_url`: of its metrics."""

    name: str
    command: list[str]
    environment: dict[str, str]
    runs_once: bool
    url: str | None = None
    metrics_url: str | None = None


def read(path: Path) -> dict[str, Any]:
    """The services by name, with anchors and merges resolved."""
    services: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))["services"]
    return services


def substituted(text: str, variables: Mapping[str, str]) -> str:
    """A value with ${NAME}, ${NAME:-default} and ${NAME:?message} substituted as Compose does."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if variables.get(name):
            return variables[name]
        if kind == "?":
            msg = f"{name}: {rest}"
            raise ValueError(msg)
        return rest or ""

    return VARIABLE.sub(value, text)


def plan(services: Mapping[str, Any], *, variables: Mapping[str, str], addresses: Addresses) -> list[Service]:
    """Our services; those that run once come first."""
    ours = {name: service for name, service in services.items() if service.get("image") == OUR_IMAGE}
    planned = [_service(name, service, variables, addresses) for name, service in ours.items()]
    return sorted(planned, key=lambda service: not service.runs_once)


def _service(name: str, service: Mapping[str, Any], variables: Mapping[str, str], addresses: Addresses) -> Service:
    original = {key: substituted(str(value), variables) for key, value in service["environment"].items()}
    environment = {key: _localized(value, addresses) for key, value in original.items()} | _replication(
        original, addresses
    )
    url = metrics_url = None
    if "TIDEWISE_SERVER__PORT" in original:
        url = _listen(environment, "TIDEWISE_SERVER", addresses.port(int(original["TIDEWISE_SERVER__PORT"])))
        metrics_url = url
    elif "TIDEWISE_METRICS__PORT" in original:
        metrics_url = _listen(environment, "TIDEWISE_METRICS", addresses.port(int(original["TIDEWISE_METRICS__PORT"])))
    return Service(name, list(service["command"]), environment, service.get("restart") == "no", url, metrics_url)


def _localized(value: str, addresses: Addresses) -> str:
    """A value with the containers' addresses replaced by those of this machine."""
    moves = {
        "postgres:5432": addresses.postgres,
        DATA_FOLDER: str(addresses.folder),
        SECRETS_FOLDER: str(addresses.secrets),
    }
    for container, local in moves.items():
        value = value.replace(container, local)
    return value


def _replication(original: Mapping[str, str], addresses: Addresses) -> dict[str, str]:
    """The variables that depend on which brokers run."""
    num_brokers = len(addresses.kafka)
    return {
        "TIDEWISE_KAFKA__BOOTSTRAP_SERVERS": ",".join(addresses.kafka),
        "TIDEWISE_KAFKA__REPLICATION_FACTOR": replicas(original["TIDEWISE_KAFKA__REPLICATION_FACTOR"], num_brokers),
        "TIDEWISE_KAFKA__MIN_INSYNC_REPLICAS": in_sync(original["TIDEWISE_KAFKA__MIN_INSYNC_REPLICAS"], num_brokers),
    }


def replicas(configured: str, num_brokers: int) -> str:
    """A replication factor that so many brokers allow."""
    return str(min(int(configured), num_brokers))


def in_sync(configured: str, num_brokers: int) -> str:
    """A number of replicas in sync that so many brokers reach while one of several is down."""
    return str(min(int(configured), max(1, num_brokers - 1)))


def _listen(environment: dict[str, str], section: str, port: int) -> str:
    environment |= {f"{section}__HOST": "127.0.0.1", f"{section}__PORT": str(port)}
    return f"http://127.0.0.1:{port}"
