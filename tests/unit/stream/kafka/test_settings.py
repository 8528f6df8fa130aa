"""Invalid Kafka settings are refused by name."""

from __future__ import annotations

import pytest

from core.errors import InvalidSettings
from stream.kafka.admin import client_options
from stream.kafka.faust_app import credentials
from stream.kafka.settings import KafkaSecurity, StreamSettings


@pytest.mark.parametrize("servers", [(), ("localhost",), ("host:port",), ("host:0",), (":9092",)])
def test_invalid_server_addresses_are_refused(servers: tuple[str, ...]) -> None:
    with pytest.raises(InvalidSettings, match=r"kafka.bootstrap_servers: wanted host:port"):
        StreamSettings(servers=servers)


def test_zero_partitions_are_refused() -> None:
    with pytest.raises(InvalidSettings, match=r"wanted at least 1, got 0, 1"):
        StreamSettings(partitions=0)


def test_an_unknown_isolation_level_is_refused() -> None:
    reason = r"kafka.isolation_level: wanted one of read_committed, read_uncommitted, got 'serializable'"
    with pytest.raises(InvalidSettings, match=reason):
        StreamSettings(isolation_level="serializable")


@pytest.mark.parametrize(
    ("options", "reason"),
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
def test_inconsistent_security_settings_are_refused(options: dict[str, str], reason: str) -> None:
    with pytest.raises(InvalidSettings, match=reason):
        KafkaSecurity(**options)


def test_a_password_is_never_shown() -> None:
    security = KafkaSecurity(protocol="SASL_PLAINTEXT", username="ann", password="open sesame")
    assert "sesame" not in repr(StreamSettings(security=security))
    assert "sesame" not in repr(credentials(security))


def test_both_kafka_clients_get_the_same_security_settings() -> None:
    security = KafkaSecurity(protocol="SASL_SSL", mechanism="SCRAM-SHA-512", username="ann", password="open sesame")
    options = client_options(StreamSettings(security=security))
    faust_credentials = credentials(security)
    assert (options["security_protocol"], options["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (faust_credentials.protocol.value, faust_credentials.mechanism.value) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == (
        faust_credentials.username,
        faust_credentials.password,
    )
    assert options["ssl_context"].check_hostname
    assert faust_credentials.ssl_context.check_hostname


def test_without_security_neither_client_gets_credentials() -> None:
    assert credentials(KafkaSecurity()) is None
    assert "ssl_context" not in client_options(StreamSettings())


def test_an_unreadable_certificate_is_refused_by_its_setting() -> None:
    with pytest.raises(
        InvalidSettings, match=r"kafka.ssl_ca_file, .*: wanted readable PEM files, .*, got .*No such file"
    ):
        KafkaSecurity(protocol="SSL", ca_file="nowhere.pem").tls()
