"""Every Kafka client on secured listeners: SASL, SASL over TLS, client certificates."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from services.kafka import Broker, free_ports, kafka_node
from services.required import program
from services.secured_listeners import secured_listeners
from services.streaming import assert_counted_once, clicks, send, streaming

from stream.kafka.event_log import KafkaLog
from stream.kafka.settings import KafkaSecurity, StreamSettings
from tidewise.processes.kafka import kafka_settings
from tidewise.settings.schema import load_settings

# In a process of its own: kafka-python leaves the sockets of failed connections to the garbage collector.
NUM_PARTITIONS_SCRIPT = """
import json, sys
from stream.kafka.settings import KafkaSecurity, StreamSettings
from stream.kafka.admin import num_partitions
options = json.loads(sys.argv[1])
security = KafkaSecurity(**options.pop("security"))
num_partitions(StreamSettings(**options | {"servers": tuple(options["servers"])}, security=security))
"""
Settings = dict[str, tuple[str, dict[str, str]]]


@pytest.fixture(scope="module")
def secured(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, kafka_storage: Callable[[], Path]
) -> Iterator[Settings]:
    """The address of each listener and its settings."""
    program("openssl", package="openssl")
    broker: Broker = request.getfixturevalue("broker")
    if broker.secured:
        yield broker.secured.settings(broker.address)
        return
    listeners = secured_listeners(tmp_path_factory.mktemp("certificates"), free_ports(3))
    with kafka_node(kafka_storage(), secured=listeners) as node:
        yield listeners.settings(node.address)


def security_of(address: str, settings: dict[str, str]) -> KafkaSecurity:
    """The settings as the clients get them."""
    overrides: dict[str, object] = {f"kafka.{name}": value for name, value in settings.items()}
    return kafka_settings(
        load_settings(overrides=overrides | {"kafka.bootstrap_servers": address}, environment={})
    ).security


@pytest.mark.parametrize("listener", ["LOGIN", "TLSLOGIN", "TLS"])
def test_every_client_connects_to_a_secured_listener(
    secured: Settings, listener: str, sqlite_database: Any, tmp_path: Path
) -> None:
    address, settings = secured[listener]
    database, security = sqlite_database, security_of(address, settings)
    events = clicks(60)
    unknown = replace(events[0], event_id="unknown", type="unheard-of")
    with streaming(address, database.url, database.store, tmp_path, security=security) as stream:
        stream.worker.start()
        send(stream.kafka, events[:50])
        log = KafkaLog(stream.kafka)
        assert len(log.publish([*events[50:], unknown])) == 11
        log.close()
        stream.await_events(60)
        stream.await_no_lag()
        assert_counted_once(stream.store, events)
        with stream.store.read() as read:
            assert [dead_letter.reason.split(":")[0] for dead_letter in read.dead_letters.newest()] == ["type"]
        assert "dead letters were not published" not in stream.worker.log


WRONG_SETTINGS: Settings = {
    "password": ("LOGIN", {"sasl_password": "sesame"}),
    "password over TLS": ("TLSLOGIN", {"sasl_password": "sesame"}),
    "no client certificate": ("TLS", {"ssl_cert_file": ""}),
    "unknown authority": ("TLS", {"ssl_ca_file": ""}),
}


@dataclass
class FailedClient:
    """A client that the broker refused: the address, how its process ended, and its error output."""

    address: str
    returncode: int
    errors: str


@pytest.fixture(scope="module")
def failed_clients(secured: Settings) -> dict[str, FailedClient]:
    """A client for each of the wrong settings; at the same time, because each fails at its timeout of 3 s."""
    processes: dict[str, tuple[str, subprocess.Popen[str]]] = {}
    for name, (listener, wrong) in WRONG_SETTINGS.items():
        address, settings = secured[listener]
        security = security_of(address, settings | wrong)
        kafka = StreamSettings(servers=(address,), security=security, request_timeout_s=3.0)
        command = [sys.executable, "-P", "-c", NUM_PARTITIONS_SCRIPT, json.dumps(asdict(kafka))]
        processes[name] = (address, subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
    errors = {name: process.communicate(timeout=60)[1] for name, (_, process) in processes.items()}
    return {
        name: FailedClient(address, process.returncode, errors[name]) for name, (address, process) in processes.items()
    }


@pytest.mark.parametrize("name", WRONG_SETTINGS)
def test_failed_authentication_is_reported_with_what_to_check(
    failed_clients: dict[str, FailedClient], name: str
) -> None:
    client = failed_clients[name]
    assert client.returncode != 0
    assert f"StreamUnavailable: admin client: Kafka at {client.address} failed within 3 s" in client.errors
    assert "and the credentials or certificates if it requires them" in client.errors
    assert "sesame" not in client.errors
