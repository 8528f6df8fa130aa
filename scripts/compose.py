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
class Place:
    """Where the stack is put on this machine. `port`: a free one, given the one that would be liked."""

    kafka: str
    postgres: str
    folder: Path
    port: Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Service:
    """One of our services as a process. `url`: where its API answers; `metrics_url`: what it tells Prometheus."""

    name: str
    command: list[str]
    environment: dict[str, str]
    runs_once: bool
    url: str | None = None
    metrics_url: str | None = None


def read(path: Path) -> dict[str, Any]:
    """The services by name, anchors and merges resolved."""
    services: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))["services"]
    return services


def substituted(text: str, variables: Mapping[str, str]) -> str:
    """A value with ${NAME}, ${NAME:-default} and ${NAME:?message} filled in, as Compose does."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if variables.get(name):
            return variables[name]
        if kind == "?":
            msg = f"{name}: {rest}"
            raise ValueError(msg)
        return rest or ""

    return VARIABLE.sub(value, text)


def plan(services: Mapping[str, Any], *, variables: Mapping[str, str], place: Place) -> list[Service]:
    """Our services, those that run once and end before the others."""
    ours = {name: service for name, service in services.items() if service.get("image") == OUR_IMAGE}
    planned = [_service(name, service, variables, place) for name, service in ours.items()]
    return sorted(planned, key=lambda service: not service.runs_once)


def _service(name: str, service: Mapping[str, Any], variables: Mapping[str, str], place: Place) -> Service:
    given = {key: substituted(str(value), variables) for key, value in service["environment"].items()}
    environment = {key: _moved(value, place) for key, value in given.items()}
    url = metrics_url = None
    if "TIDEWISE_SERVER__PORT" in given:
        wanted = int(service["ports"][0].split(":")[1])  # "127.0.0.1:8081:8080": the middle one is this machine's
        url = _listen(environment, "TIDEWISE_SERVER", place.port(wanted))
        metrics_url = url
    elif "TIDEWISE_METRICS__PORT" in given:
        metrics_url = _listen(environment, "TIDEWISE_METRICS", place.port(int(given["TIDEWISE_METRICS__PORT"])))
    return Service(name, list(service["command"]), environment, service.get("restart") == "no", url, metrics_url)


def _moved(value: str, place: Place) -> str:
    """A value that names the network of the services, as it is on this machine."""
    moves = {"kafka:9092": place.kafka, "postgres:5432": place.postgres, DATA_FOLDER: str(place.folder)}
    for there, here in moves.items():
        value = value.replace(there, here)
    return value


def _listen(environment: dict[str, str], section: str, port: int) -> str:
    environment |= {f"{section}__HOST": "127.0.0.1", f"{section}__PORT": str(port)}
    return f"http://127.0.0.1:{port}"
