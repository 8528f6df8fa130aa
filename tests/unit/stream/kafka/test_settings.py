"""Settings of Kafka that cannot be meant are refused by name."""

from __future__ import annotations

import pytest

from core.errors import InvalidSettings
from stream.kafka.faust_app import credentials
from stream.kafka.settings import KafkaSecurity, KafkaSettings
from stream.kafka.topics import client_options


@pytest.mark.parametrize("servers", [(), ("localhost",), ("host:port",), ("host:0",), (":9092",)])
def test_servers_that_are_no_addresses_are_refused(servers: tuple[str, ...]) -> None:
    with pytest.raises(InvalidSettings, match=r"kafka.bootstrap_servers: wanted host:port"):
        KafkaSettings(servers=servers)


def test_no_partitions_are_refused() -> None:
    with pytest.raises(InvalidSettings, match=r"wanted at least 1, got 0, 1"):
        KafkaSettings(partitions=0)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"protocol": "TLS"}, r"kafka.security_protocol: wanted one of PLAINTEXT, SSL, .*, got 'TLS'"),
        ({"mechanism": "KERBEROS"}, r"kafka.sasl_mechanism: wanted one of PLAIN, .*, got 'KERBEROS'"),
        (
            {"protocol": "SASL_SSL", "username": "ann"},
            r"kafka.sasl_username, kafka.sasl_password: wanted with SASL_SSL",
        ),
        ({"protocol": "SSL", "key_file": "ours.key"}, r"kafka.ssl_cert_file: wanted the certificate that belongs to"),
        ({"ca_file": "ours.pem"}, r"wanted with SSL or SASL_SSL only, got them with PLAINTEXT, which is not encrypted"),
    ],
)
def test_security_that_cannot_work_is_refused(given: dict[str, str], reason: str) -> None:
    with pytest.raises(InvalidSettings, match=reason):
        KafkaSecurity(**given)


def test_a_password_is_never_shown() -> None:
    secret = KafkaSecurity(protocol="SASL_PLAINTEXT", username="ann", password="open sesame")
    assert "sesame" not in repr(KafkaSettings(security=secret))
    assert "sesame" not in repr(credentials(secret))


def test_both_clients_are_told_the_same_of_security() -> None:
    secret = KafkaSecurity(protocol="SASL_SSL", mechanism="SCRAM-SHA-512", username="ann", password="open sesame")
    options = client_options(KafkaSettings(security=secret))
    told = credentials(secret)
    assert (options["security_protocol"], options["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (told.protocol.value, told.mechanism.value) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == (told.username, told.password)
    assert options["ssl_context"].check_hostname
    assert told.ssl_context.check_hostname


def test_without_security_nothing_is_told() -> None:
    assert credentials(KafkaSecurity()) is None
    assert "ssl_context" not in client_options(KafkaSettings())


def test_a_certificate_that_cannot_be_read_is_refused_by_the_names_of_its_settings() -> None:
    with pytest.raises(
        InvalidSettings, match=r"kafka.ssl_ca_file, .*: wanted readable PEM files, .*, got .*No such file"
    ):
        KafkaSecurity(protocol="SSL", ca_file="nowhere.pem").tls()
