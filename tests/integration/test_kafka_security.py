"""Every client of Kafka that we have, through listeners that ask who it is: login, login over TLS, certificates."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
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
from stream.kafka.settings import KafkaSecurity, KafkaSettings
from tidewise.processes.kafka import kafka_settings
from tidewise.settings.schema import load_settings

PASSWORD = "open sesame"
# In a process of its own: kafka-python leaves the sockets of vain connections to the garbage collector.
ASK = """
import json, sys
from stream.settings import KafkaSecurity, KafkaSettings
from stream.kafka.admin import num_partitions
given = json.loads(sys.argv[1])
security = KafkaSecurity(**given.pop("security"))
num_partitions(KafkaSettings(**given | {"servers": tuple(given["servers"])}, security=security))
"""
Secured = dict[str, tuple[str, dict[str, str]]]


def listeners(given: str, *, ports: dict[str, int], pems: Certificates) -> str:
    """Three more listeners: LOGIN (name and password), TLSLOGIN (the same, encrypted, hashed), TLS (certificates)."""
    module = "org.apache.kafka.common.security"
    both = ",".join([given, *(f"{name}://127.0.0.1:{port}" for name, port in ports.items())])
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
listeners={both}
advertised.listeners={",".join(one for one in both.split(",") if not one.startswith("CONTROLLER"))}
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT,TLSLOGIN:SASL_SSL,TLS:SSL
listener.name.login.sasl.enabled.mechanisms=PLAIN
listener.name.login.plain.sasl.jaas.config={module}.plain.PlainLoginModule required user_tidewise="{PASSWORD}";
listener.name.tlslogin.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.tlslogin.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;
listener.name.tls.ssl.client.auth=required
{tls}
"""


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """The address of each listener, and the settings that it takes."""
    program("openssl", package="openssl")
    pems = certificates(tmp_path_factory.mktemp("certificates"))
    ports = dict(zip(("LOGIN", "TLSLOGIN", "TLS"), free_ports(3), strict=True))
    with kafka_node(more=lambda given: listeners(given, ports=ports, pems=pems)) as node:
        admin = KafkaAdminClient(bootstrap_servers=node.address)
        admin.alter_user_scram_credentials(
            [UserScramCredentialUpsertion("tidewise", ScramMechanism.SCRAM_SHA_512, PASSWORD)]
        )
        admin.close()
        login = {"username": "tidewise", "password": PASSWORD}
        given = {
            "LOGIN": login | {"security_protocol": "SASL_PLAINTEXT"},
            "TLSLOGIN": login
            | {
                "security_protocol": "SASL_SSL",
                "sasl_mechanism": "SCRAM-SHA-512",
                "ca_file": str(pems.authority),
            },
            "TLS": {"security_protocol": "SSL", "ca_file": str(pems.authority), "cert_file": str(pems.client)},
        }
        yield {name: (f"127.0.0.1:{port}", given[name]) for name, port in ports.items()}


def security_of(address: str, given: dict[str, str]) -> KafkaSecurity:
    """As the settings table turns it into what clients are told."""
    overrides: dict[str, object] = {f"kafka.{name}": value for name, value in given.items()}
    return kafka_settings(
        load_settings(overrides=overrides | {"kafka.bootstrap_servers": address}, environment={})
    ).security


@pytest.mark.parametrize("listener", ["LOGIN", "TLSLOGIN", "TLS"])
def test_admin_producer_worker_dead_letters_and_lag_all_come_in(
    secured: Secured, listener: str, sqlite_database: Any, tmp_path: Path
) -> None:
    address, given = secured[listener]
    database, security = sqlite_database, security_of(address, given)
    events = clicks(60)
    stranger = replace(events[0], event_id="stranger", type="unheard-of")
    with streaming(address, database.url, database.store, tmp_path, security=security) as stream:
        stream.worker.start()
        send(stream.kafka, events[:50])
        log = KafkaLog(stream.kafka)
        assert len(log.publish([*events[50:], stranger])) == 11
        log.close()
        stream.await_events(60)
        wait_until(lambda: lag_of(stream.kafka, stream.offsets()) == 0, stream.worker)
        assert_counted_once(stream.store, events)
        with stream.store.read() as view:
            assert [letter.reason.split(":")[0] for letter in view.dead_letters.newest()] == ["type"]
        assert "dead letters were not announced" not in stream.worker.log


def lag_of(kafka: KafkaSettings, offsets: dict[int, int]) -> int:
    return sum(status.lag for status in partition_statuses(kafka, offsets).values())


@pytest.mark.parametrize(
    ("listener", "wrong"),
    [
        ("LOGIN", {"password": "sesame"}),
        ("TLSLOGIN", {"password": "sesame"}),
        ("TLS", {"cert_file": ""}),
        ("TLS", {"ca_file": ""}),
    ],
)
def test_who_cannot_prove_who_he_is_is_told_what_to_look_at(
    secured: Secured, listener: str, wrong: dict[str, str]
) -> None:
    address, given = secured[listener]
    kafka = KafkaSettings(servers=(address,), security=security_of(address, given | wrong), request_timeout_s=3.0)
    asked = subprocess.run(
        [sys.executable, "-P", "-c", ASK, json.dumps(asdict(kafka))], capture_output=True, text=True, timeout=60
    )
    assert asked.returncode != 0
    assert f"StreamUnavailable: topics: Kafka at {address} did not do it" in asked.stderr
    assert "and name and password or certificates if it wants them" in asked.stderr
    assert "sesame" not in asked.stderr
