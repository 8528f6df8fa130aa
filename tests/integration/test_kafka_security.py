"""Every Kafka client on secured listeners: SASL, SASL over TLS, client certificates."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion
from services.certificates import Certificates, certificates
from services.kafka import free_ports, kafka_node
from services.required import program
from services.streaming import assert_counted_once, clicks, send, streaming
from services.workers import wait_until

from stream.kafka.admin import partition_statuses
from stream.kafka.event_log import KafkaLog
from stream.kafka.settings import KafkaSecurity, StreamSettings
from tidewise.processes.kafka import kafka_settings
from tidewise.settings.schema import load_settings

PASSWORD = "open sesame"
# In a process of its own: kafka-python leaves the sockets of failed connections to the garbage collector.
NUM_PARTITIONS_SCRIPT = """
import json, sys
from stream.kafka.settings import KafkaSecurity, StreamSettings
from stream.kafka.admin import num_partitions
options = json.loads(sys.argv[1])
security = KafkaSecurity(**options.pop("security"))
num_partitions(StreamSettings(**options | {"servers": tuple(options["servers"])}, security=security))
"""
SecuredListeners = dict[str, tuple[str, dict[str, str]]]


def broker_properties(listeners: str, *, ports: dict[str, int], pems: Certificates) -> str:
    """Three more listeners: LOGIN (SASL PLAIN), TLSLOGIN (SCRAM over TLS), TLS (client certificates)."""
    module = "org.apache.kafka.common.security"
    listeners = ",".join([listeners, *(f"{name}://127.0.0.1:{port}" for name, port in ports.items())])
    tls = "\n".join(
        f"listener.name.{name}.ssl.{line}"
        for name in ("tls", "tlslogin")
        for line in (
            "keystore.type=PEM",
            f"keystore.location={pems.broker}",
            "truststore.type=PEM",
            f"truststore.location={pems.authority}",
        )
    )
    return f"""
listeners={listeners}
advertised.listeners={",".join(name for name in listeners.split(",") if not name.startswith("CONTROLLER"))}
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT,TLSLOGIN:SASL_SSL,TLS:SSL
listener.name.login.sasl.enabled.mechanisms=PLAIN
listener.name.login.plain.sasl.jaas.config={module}.plain.PlainLoginModule required user_tidewise="{PASSWORD}";
listener.name.tlslogin.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.tlslogin.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;
listener.name.tls.ssl.client.auth=required
{tls}
"""


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, kafka_storage: Callable[[], Path]) -> Iterator[SecuredListeners]:
    """The address of each listener and its settings."""
    program("openssl", package="openssl")
    pems = certificates(tmp_path_factory.mktemp("certificates"))
    ports = dict(zip(("LOGIN", "TLSLOGIN", "TLS"), free_ports(3), strict=True))
    properties = partial(broker_properties, ports=ports, pems=pems)
    with kafka_node(kafka_storage(), properties=properties) as node:
        admin = KafkaAdminClient(bootstrap_servers=node.address)
        admin.alter_user_scram_credentials(
            [UserScramCredentialUpsertion("tidewise", ScramMechanism.SCRAM_SHA_512, PASSWORD)]
        )
        admin.close()
        login = {"sasl_username": "tidewise", "sasl_password": PASSWORD}
        settings = {
            "LOGIN": login | {"security_protocol": "SASL_PLAINTEXT"},
            "TLSLOGIN": login
            | {
                "security_protocol": "SASL_SSL",
                "sasl_mechanism": "SCRAM-SHA-512",
                "ssl_ca_file": str(pems.authority),
            },
            "TLS": {"security_protocol": "SSL", "ssl_ca_file": str(pems.authority), "ssl_cert_file": str(pems.client)},
        }
        yield {name: (f"127.0.0.1:{port}", settings[name]) for name, port in ports.items()}


def security_of(address: str, settings: dict[str, str]) -> KafkaSecurity:
    """The settings as the clients get them."""
    overrides: dict[str, object] = {f"kafka.{name}": value for name, value in settings.items()}
    return kafka_settings(
        load_settings(overrides=overrides | {"kafka.bootstrap_servers": address}, environment={})
    ).security


@pytest.mark.parametrize("listener", ["LOGIN", "TLSLOGIN", "TLS"])
def test_every_client_connects_to_a_secured_listener(
    secured: SecuredListeners, listener: str, sqlite_database: Any, tmp_path: Path
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
        wait_until(lambda: lag_of(stream.kafka, stream.offsets()) == 0, stream.worker)
        assert_counted_once(stream.store, events)
        with stream.store.read() as read:
            assert [dead_letter.reason.split(":")[0] for dead_letter in read.dead_letters.newest()] == ["type"]
        assert "dead letters were not published" not in stream.worker.log


def lag_of(kafka: StreamSettings, offsets: dict[int, int]) -> int:
    return sum(status.lag for status in partition_statuses(kafka, offsets).values())


WRONG_SETTINGS: dict[str, tuple[str, dict[str, str]]] = {
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
def failed_clients(secured: SecuredListeners) -> dict[str, FailedClient]:
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
