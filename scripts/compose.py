"""Read docker-compose.yml as a plan for local processes: services, environment, order.

Commands and variables stay as they are. Only locations change: hosts and ports of other services, the data folder and
the listen addresses. Independent of how processes are started.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

OUR_IMAGE = "tidewise:latest"
DATA_FOLDER = "/var/lib/tidewise"
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of the stack on this machine. `port`: returns a free port, preferably the given one."""

    kafka: str
    postgres: str
    folder: Path
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
    environment = {key: _localized(value, addresses) for key, value in original.items()}
    url = metrics_url = None
    if "TIDEWISE_SERVER__PORT" in original:
        published = int(service["ports"][0].split(":")[1])  # "127.0.0.1:8081:8080": the middle one is the host's
        url = _listen(environment, "TIDEWISE_SERVER", addresses.port(published))
        metrics_url = url
    elif "TIDEWISE_METRICS__PORT" in original:
        metrics_url = _listen(environment, "TIDEWISE_METRICS", addresses.port(int(original["TIDEWISE_METRICS__PORT"])))
    return Service(name, list(service["command"]), environment, service.get("restart") == "no", url, metrics_url)


def _localized(value: str, addresses: Addresses) -> str:
    """A value with the containers' addresses replaced by those of this machine."""
    moves = {"kafka:9092": addresses.kafka, "postgres:5432": addresses.postgres, DATA_FOLDER: str(addresses.folder)}
    for container, local in moves.items():
        value = value.replace(container, local)
    return value


def _listen(environment: dict[str, str], section: str, port: int) -> str:
    environment |= {f"{section}__HOST": "127.0.0.1", f"{section}__PORT": str(port)}
    return f"http://127.0.0.1:{port}"
