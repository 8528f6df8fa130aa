"""docker-compose.yml and `make stack` are in step: the same services, commands, variables and versions."""

from __future__ import annotations

import re
import stat
import subprocess
from itertools import count
from pathlib import Path

import compose
import compose_kafka
import pytest
import yaml
from services import required

from tidewise.settings.schema import load_settings

ROOT = Path(__file__).parents[2]
FILE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES = compose.read(ROOT / "docker-compose.yml")
OURS = {name: service for name, service in SERVICES.items() if service.get("build")}
RECIPE = (ROOT / "scripts" / "kafka.sh").read_text("utf-8")
CONTAINER_ADDRESSES = ("kafka-", "postgres:", "/var/lib", "/run/secrets", "0.0.0.0")


def planned(*, num_brokers: int = 3, secrets: Path = Path("/here/secrets")) -> list[compose.Service]:
    ports = count(20_000)
    brokers = [f"127.0.0.1:{number}" for number in range(1, num_brokers + 1)]
    addresses = compose.Addresses(brokers, "127.0.0.1:9", Path("/here/data"), secrets, lambda _preferred: next(ports))
    return compose.plan(SERVICES, variables={}, addresses=addresses)


def planned_brokers(num_brokers: int) -> list[compose_kafka.LocalBroker]:
    ports = count(30_000)
    return compose_kafka.plan(
        SERVICES,
        num_brokers=num_brokers,
        folder=Path("/here/kafka"),
        secrets=Path("/here/secrets"),
        port=lambda _preferred: next(ports),
    )


def properties_of(broker: compose_kafka.LocalBroker) -> dict[str, str]:
    return dict(line.split("=", 1) for line in broker.variables["KAFKA_PROPERTIES"].splitlines())


PLANNED = {service.name: service for service in planned()}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stack") / "secrets"
    subprocess.run([ROOT / "scripts" / "secrets.sh", folder], check=True)
    return folder


def test_every_own_service_is_started_with_its_command() -> None:
    built = {name: service["command"] for name, service in OURS.items()}
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
def test_the_variables_are_settings_that_load(name: str, secrets: Path) -> None:
    environment = {service.name: service for service in planned(secrets=secrets)}[name].environment
    settings = load_settings(environment=environment)
    password = (secrets / "postgres_password").read_text()
    assert settings.database_url() == f"postgresql+psycopg://tidewise:{password}@127.0.0.1:9/tidewise"
    assert settings.kafka.bootstrap_servers == "127.0.0.1:1,127.0.0.1:2,127.0.0.1:3"
    assert settings.kafka.sasl_password.get_secret_value() == (secrets / "kafka_password").read_text()
    assert settings.data.folder == Path("/here/data")
    assert settings.api_key() == ((secrets / "api_key").read_text() if name.startswith("api") else None)


@pytest.mark.parametrize(("num_brokers", "replicas", "in_sync"), [(3, "3", "2"), (1, "1", "1")])
def test_as_many_replicas_are_made_as_brokers_allow(num_brokers: int, replicas: str, in_sync: str) -> None:
    environment = planned(num_brokers=num_brokers)[-1].environment
    assert environment["TIDEWISE_KAFKA__REPLICATION_FACTOR"] == replicas
    assert environment["TIDEWISE_KAFKA__MIN_INSYNC_REPLICAS"] == in_sync
    for broker in planned_brokers(num_brokers):
        properties = properties_of(broker)
        assert {properties[name] for name in properties if name.endswith("replication.factor")} == {replicas}
        assert {properties[name] for name in properties if name.endswith((".isr", "insync.replicas"))} == {in_sync}
        assert len(properties["controller.quorum.voters"].split(",")) == num_brokers


def test_workers_have_unique_names_and_services_unique_ports() -> None:
    workers = [service for service in PLANNED.values() if service.command == ["worker"]]
    urls = [service.metrics_url for service in PLANNED.values() if not service.runs_once]
    assert len({worker.environment["TIDEWISE_KAFKA__WORKER"] for worker in workers}) == len(workers)
    assert None not in urls
    assert len(set(urls)) == len(urls)
    assert [bool(service.url) for service in workers] == [False, False]


def test_brokers_differ_in_their_names_and_places_alone() -> None:
    brokers = {name: service for name, service in SERVICES.items() if name.startswith("kafka-")}
    assert [service["environment"]["KAFKA_NODE_ID"] for service in brokers.values()] == [1, 2, 3]
    own = ("KAFKA_NODE_ID", "KAFKA_ADVERTISED_LISTENERS")
    shared = [
        {key: value for key, value in service["environment"].items() if key not in own} for service in brokers.values()
    ]
    assert shared == shared[:1] * 3
    volumes = [service["volumes"] for service in brokers.values()]
    assert volumes == [[f"{name}-data:/var/lib/kafka/data"] for name in brokers]


def test_no_address_of_a_container_is_left_in_the_brokers() -> None:
    for broker in planned_brokers(3):
        left = [line for line in properties_of(broker).items() if any(part in line[1] for part in CONTAINER_ADDRESSES)]
        assert left == []


def test_kafka_has_the_version_and_the_limits_of_the_recipe() -> None:
    tag, _, _ = SERVICES["kafka-1"]["image"].partition("@")
    assert tag.endswith(":" + re.findall(r"KAFKA_VERSION:-([\d.]+)", RECIPE)[0])
    named = {
        compose_kafka.property_name(variable): str(value)
        for variable, value in SERVICES["kafka-1"]["environment"].items()
    }
    alike = ("message.max.bytes", "group.min.session.timeout.ms", "group.initial.rebalance.delay.ms")
    recipe = dict(re.findall(r"^([a-z.]+)=([^$\n]+)$", RECIPE, re.M))
    assert {name: named[name] for name in alike} == {name: recipe[name] for name in alike}


def test_every_secret_is_a_file_that_is_made(secrets: Path) -> None:
    made = {path.name for path in secrets.iterdir()}
    assert {name: Path(secret["file"]).name for name, secret in FILE["secrets"].items()} == {
        name: name for name in made
    }
    used = [secret for service in SERVICES.values() for secret in service.get("secrets", [])]
    assert set(used) == made
    assert len({path.read_text() for path in secrets.iterdir()}) == len(made)
    assert all(path.read_text() == path.read_text().strip() for path in secrets.iterdir())
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700


def test_secrets_are_made_once(secrets: Path) -> None:
    before = {path.name: path.read_text() for path in secrets.iterdir()}
    subprocess.run([ROOT / "scripts" / "secrets.sh", secrets], check=True)
    assert {path.name: path.read_text() for path in secrets.iterdir()} == before


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_in_a_variable_or_a_command(name: str) -> None:
    service = SERVICES[name]
    secret_variables = [key for key in service.get("environment", {}) if re.search("PASSWORD|API_KEY|TOKEN", key)]
    assert all(key.endswith("_FILE") for key in secret_variables)
    assert all(
        str(service["environment"][key]).removeprefix("/run/secrets/") in service["secrets"] for key in secret_variables
    )
    assert not re.search("password|key|token", " ".join(service.get("command", [])))


@pytest.mark.parametrize("name", SERVICES)
def test_containers_write_to_volumes_alone_and_gain_no_privilege(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])


@pytest.mark.parametrize("name", SERVICES)
def test_images_have_exact_versions(name: str) -> None:
    image = SERVICES[name]["image"]
    assert image == compose.OUR_IMAGE or re.search(r":v?\d+\.\d+(\.\d+)?@sha256:[0-9a-f]{64}$", image), image


def test_only_what_needs_it_reaches_other_networks() -> None:
    outside = {name for name, service in SERVICES.items() if "outside" in service["networks"]}
    assert outside == {"proxy", "monitor", "prometheus", "alertmanager", "grafana"}
    assert FILE["networks"]["internal"] == {"internal": True}


def test_the_proxy_knows_every_api_and_its_port() -> None:
    apis = {f"{name}:8080" for name, service in SERVICES.items() if service.get("command") == ["serve"]}
    assert set(SERVICES["proxy"]["environment"]["UPSTREAMS"].split()) == apis


def test_long_running_services_have_checks_restarts_and_limits() -> None:
    long_running = {name: service for name, service in SERVICES.items() if service.get("restart") != "no"}
    for name, service in long_running.items():
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"], name
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}, name


def test_every_published_port_is_on_loopback_unless_told_otherwise() -> None:
    published = [compose.substituted(port, {}) for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 5
    assert all(port.startswith("127.0.0.1:") for port in published)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("${A}", "1"), ("x${A:-2}y", "x1y"), ("${B:-2}", "2"), ("${B}", ""), ("${EMPTY:-2}", "2"), ("plain", "plain")],
)
def test_variables_are_substituted_as_compose_does(text: str, expected: str) -> None:
    assert compose.substituted(text, {"A": "1", "EMPTY": ""}) == expected


def test_a_missing_required_variable_is_named() -> None:
    with pytest.raises(ValueError, match="KEY: set it"):
        compose.substituted("${KEY:?set it}", {})


@pytest.mark.slow
def test_docker_compose_accepts_the_file() -> None:
    program = required.program("docker-compose", package="docker-compose")
    done = subprocess.run(
        [program, "-f", str(ROOT / "docker-compose.yml"), "config", "--quiet"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
