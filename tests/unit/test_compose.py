"""docker-compose.yml and `make stack` are in step: the same services, commands, variables and versions."""

from __future__ import annotations

import os
import re
import subprocess
from itertools import count
from pathlib import Path

import compose
import pytest
from services import required

from tidewise.settings.schema import load_settings

ROOT = Path(__file__).parents[2]
KEY = "0123456789abcdef"
SERVICES = compose.read(ROOT / "docker-compose.yml")
RECIPE = (ROOT / "scripts" / "kafka.sh").read_text("utf-8")
CONTAINER_ADDRESSES = ("kafka:", "@postgres:", "/var/lib", "0.0.0.0")


def planned() -> list[compose.Service]:
    ports = count(20_000)
    addresses = compose.Addresses("127.0.0.1:1", "127.0.0.1:2", Path("/here/data"), lambda _preferred: next(ports))
    return compose.plan(SERVICES, variables={"TIDEWISE_API_KEY": KEY}, addresses=addresses)


PLANNED = {service.name: service for service in planned()}


def test_every_own_service_is_started_with_its_command() -> None:
    built = {name: service["command"] for name, service in SERVICES.items() if service.get("build")}
    assert {name: service.command for name, service in PLANNED.items()} == built
    assert sorted(command[0] for command in built.values()) == [
        "learn",
        "migrate",
        "monitor",
        "serve",
        "serve",
        "worker",
        "worker",
    ]


def test_the_image_holds_the_extras_that_services_need() -> None:
    match = re.search(r"'\.\[([\w,]+)\]'", (ROOT / "Dockerfile").read_text("utf-8"))
    assert match is not None
    assert set(match[1].split(",")) == {"kafka", "postgres", "drift"}  # the worker, the database, the monitor


def test_every_service_gets_exactly_its_variables() -> None:
    for name, service in PLANNED.items():
        assert service.environment.keys() == SERVICES[name]["environment"].keys(), name


def test_no_address_of_a_container_is_left() -> None:
    left = [
        (name, variable)
        for name, service in PLANNED.items()
        for variable, value in service.environment.items()
        if any(address in value for address in CONTAINER_ADDRESSES)
    ]
    assert left == []


def test_services_that_run_once_come_first() -> None:
    assert [service.name for service in planned() if service.runs_once] == [planned()[0].name] == ["migrate"]


@pytest.mark.parametrize("name", PLANNED)
def test_the_variables_are_settings_that_load(name: str) -> None:
    settings = load_settings(environment=PLANNED[name].environment)
    assert settings.database_url() == "postgresql+psycopg://tidewise:tidewise@127.0.0.1:2/tidewise"
    assert settings.kafka.bootstrap_servers == "127.0.0.1:1"
    assert settings.data.folder == Path("/here/data")


def test_workers_have_unique_names_and_services_unique_ports() -> None:
    workers = [service for service in PLANNED.values() if service.command == ["worker"]]
    urls = [service.metrics_url for service in PLANNED.values() if not service.runs_once]
    assert len({worker.environment["TIDEWISE_KAFKA__WORKER"] for worker in workers}) == len(workers)
    assert None not in urls
    assert len(set(urls)) == len(urls)
    assert [bool(service.url) for service in workers] == [False, False]


def test_kafka_has_the_version_and_the_limits_of_the_recipe() -> None:
    assert SERVICES["kafka"]["image"].endswith(":" + re.findall(r"KAFKA_VERSION:-([\d.]+)", RECIPE)[0])
    named = {
        variable.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for variable, value in SERVICES["kafka"]["environment"].items()
    }
    shared = {name: value for name, value in re.findall(r"^([a-z.]+)=([^$\n]+)$", RECIPE, re.M) if name in named}
    assert {name: named[name] for name in shared if "listener" not in name} == {
        name: value for name, value in shared.items() if "listener" not in name
    }
    assert {"message.max.bytes", "group.min.session.timeout.ms", "group.initial.rebalance.delay.ms"} <= shared.keys()


def test_long_running_services_have_checks_restarts_and_limits() -> None:
    long_running = {name: service for name, service in SERVICES.items() if service.get("restart") != "no"}
    for name, service in long_running.items():
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"], name
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}, name


def test_every_published_port_is_on_loopback() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 4
    assert all(port.startswith("127.0.0.1:") for port in published)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("${A}", "1"), ("x${A:-2}y", "x1y"), ("${B:-2}", "2"), ("${B}", ""), ("${EMPTY:-2}", "2"), ("plain", "plain")],
)
def test_variables_are_substituted_as_compose_does(text: str, expected: str) -> None:
    assert compose.substituted(text, {"A": "1", "EMPTY": ""}) == expected


def test_a_missing_required_variable_is_named() -> None:
    with pytest.raises(ValueError, match="TIDEWISE_API_KEY: set TIDEWISE_API_KEY"):
        compose.plan(SERVICES, variables={}, addresses=compose.Addresses("k", "p", Path("/d"), lambda port: port))


@pytest.mark.slow
def test_docker_compose_accepts_the_file() -> None:
    program = required.program("docker-compose", package="docker-compose")
    done = subprocess.run(
        [program, "-f", str(ROOT / "docker-compose.yml"), "config", "--quiet"],
        env={**os.environ, "TIDEWISE_API_KEY": KEY},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
