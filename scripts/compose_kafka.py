"""Read the brokers of docker-compose.yml as a plan for local processes: `scripts/kafka.sh` starts each.

Properties are derived from variables as Kafka's image does it. Only locations change, and with fewer brokers than in
the file the voters and the numbers of replicas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compose import SECRETS_FOLDER, in_sync, replicas

PREFIX = "KAFKA_"
CLIENTS_PORT, CONTROLLER_PORT = 9092, 9093
EVERYWHERE = "0.0.0.0"  # noqa: S104 - as the file says it
Ports = Mapping[str, tuple[int, int]]  # of clients and of the controller, by broker
NOT_HERE = ("log.dirs", "heap.opts")  # the recipe sets them


@dataclass(frozen=True, slots=True)
class LocalBroker:
    """A broker as a process. `address`: of its clients. `variables`: those of `scripts/kafka.sh`."""

    name: str
    address: str
    variables: dict[str, str]


def plan(
    services: Mapping[str, Any], *, num_brokers: int, folder: Path, secrets: Path, port: Callable[[int], int]
) -> list[LocalBroker]:
    """The first brokers of the file; `port` returns a free port, preferably the given one."""
    declared = [name for name, service in services.items() if "KAFKA_NODE_ID" in service.get("environment", {})]
    ports = {name: (port(CLIENTS_PORT), port(CONTROLLER_PORT)) for name in declared[:num_brokers]}
    moves = {SECRETS_FOLDER: str(secrets)}
    for name, numbers in ports.items():
        moves |= _moves(name, numbers)
    return [_broker(name, services[name]["environment"], ports, moves, folder=folder) for name in ports]


def _moves(host: str, ports: tuple[int, int]) -> dict[str, str]:
    """Addresses of a host among the containers, and here."""
    declared = (CLIENTS_PORT, CONTROLLER_PORT)
    return {f"{host}:{there}": f"127.0.0.1:{here}" for there, here in zip(declared, ports, strict=True)}


def _broker(
    name: str, environment: Mapping[str, Any], ports: Ports, moves: Mapping[str, str], *, folder: Path
) -> LocalBroker:
    clients, controller = ports[name]
    lines = _properties(environment, {**moves, **_moves(EVERYWHERE, ports[name])}, num_brokers=len(ports))
    variables = {
        "KAFKA_PORT": str(clients),
        "KAFKA_CONTROLLER_PORT": str(controller),
        "KAFKA_INSTANCE": str(folder / name),
        "KAFKA_CLUSTER_ID": environment["CLUSTER_ID"],
        "KAFKA_PROPERTIES": "\n".join(f"{key}={value}" for key, value in lines.items()),
    }
    return LocalBroker(name, f"127.0.0.1:{clients}", variables)


def property_name(variable: str) -> str:
    """The property that a variable of Kafka's image sets."""
    return variable.removeprefix(PREFIX).lower().replace("_", ".").replace("...", "-").replace("..", "_")


def _properties(environment: Mapping[str, Any], moves: Mapping[str, str], *, num_brokers: int) -> dict[str, str]:
    declared = {property_name(name): str(value) for name, value in environment.items() if name.startswith(PREFIX)}
    return {
        name: _localized(name, value.replace("$$", "$"), moves, num_brokers)
        for name, value in declared.items()
        if name not in NOT_HERE
    }


def _localized(name: str, value: str, moves: Mapping[str, str], num_brokers: int) -> str:
    if name.endswith("replication.factor"):
        return replicas(value, num_brokers)
    if name.endswith(("min.isr", "min.insync.replicas")):
        return in_sync(value, num_brokers)
    if name == "controller.quorum.voters":
        value = ",".join(value.split(",")[:num_brokers])
    for container, local in moves.items():
        value = value.replace(container, local)
    return value
