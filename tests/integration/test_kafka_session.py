"""How short the session of a worker is: what the brokers say, and what a worker takes where they do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from kafka.errors import ClusterAuthorizationFailedError
from services.kafka import Broker, KafkaNode, kafka_node

from stream.kafka.admin import SHORTEST_SESSION_S, USUAL_SESSION_S, shortest_session_s
from stream.kafka.settings import StreamSettings

ALLOWS_4_S = """
group.min.session.timeout.ms=4000
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
"""
NOT_TOLD = ACL(
    "User:ANONYMOUS",
    "*",
    ACLOperation.DESCRIBE_CONFIGS,
    ACLPermissionType.DENY,
    ResourcePattern(ResourceType.CLUSTER, "kafka-cluster"),
)


@pytest.fixture(scope="module")
def strict_broker(kafka_storage: Callable[[], Path]) -> Iterator[KafkaNode]:
    with kafka_node(kafka_storage(), properties=ALLOWS_4_S) as node:
        yield node


def of(address: str) -> StreamSettings:
    return StreamSettings(servers=(address,))


def test_the_session_is_the_shortest_that_brokers_allow(strict_broker: KafkaNode) -> None:
    assert shortest_session_s(of(strict_broker.address)) == 4.0


def test_a_session_is_not_so_short_that_a_busy_worker_loses_it(broker: Broker) -> None:
    assert shortest_session_s(of(broker.address)) == SHORTEST_SESSION_S  # the brokers of tests allow 1 s


def test_brokers_that_do_not_tell_get_the_usual_session(
    strict_broker: KafkaNode, caplog: pytest.LogCaptureFixture
) -> None:
    admin = KafkaAdminClient(bootstrap_servers=strict_broker.address)
    try:
        admin.create_acls([NOT_TOLD])
        with suppress(ClusterAuthorizationFailedError):
            while True:  # until the broker has it from the controller: nothing else of the cluster is allowed then
                admin.describe_acls(NOT_TOLD)
        with caplog.at_level("INFO", logger="stream.kafka.admin"):
            assert shortest_session_s(of(strict_broker.address)) == USUAL_SESSION_S
        assert "the brokers do not tell group.min.session.timeout.ms" in caplog.text
    finally:
        admin.close()
