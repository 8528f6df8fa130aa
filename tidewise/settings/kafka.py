"""The settings of the distributed system's event log, and of what its workers tell."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from core.interactions import FIELDS
from tidewise.settings.section import Amount, Count, Section


class KafkaSettings(Section):
    """The event log of the distributed system."""

    bootstrap_servers: str = ""
    """The brokers, as `host:port,host:port`; empty: no Kafka."""
    topic: str = Field("interactions", min_length=1)
    """The topic that events are read from and produced to."""
    group_id: str = Field("tidewise", min_length=1)
    """The consumer group of the workers."""
    partitions: Count = 4
    """The partitions of a topic that Tidewise creates; at most that many workers share the load."""
    replication_factor: Count = 1
    """On how many brokers a topic that Tidewise creates is kept; 3 where there are 3."""
    retention_days: Amount = 7.0
    """How many days a topic that Tidewise creates keeps its messages."""
    worker: str = Field("worker-1", min_length=1)
    """The name of a worker process: unique among those running, and the same after a restart."""
    max_batch_events: Count = 2000
    """With so many events a worker's transaction is full; a message is applied whole."""
    linger_ms: Amount = 1.0
    """How many milliseconds an event waits at most for company in its transaction, while none is under way."""
    fields: dict[str, str] = Field(default_factory=dict)
    """Where our fields are in foreign JSON, as dotted paths: `user_id = "payload.customer.id"`."""
    types: dict[str, str] = Field(default_factory=dict)
    """What foreign event types are called here: `pdp_view = "view"`."""
    time_unit: Literal["s", "ms", "us", "ns"] = "ms"
    """The unit of `time` in foreign JSON."""
    dead_letter_topic: str = Field("interactions.dead-letters", min_length=1)
    """The topic that gets messages which could not be applied, with the reason."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How to speak to the brokers: encrypted or not, with a login or not."""
    ssl_ca_file: str = ""
    """A PEM file of the authorities that sign the brokers' certificates; empty: those of the system."""
    ssl_cert_file: str = ""
    """A PEM file with our certificate, where brokers want one of their clients."""
    ssl_key_file: str = ""
    """A PEM file with the certificate's key, without a password; empty: it is in `kafka.ssl_cert_file`."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    """How a login is proven."""
    sasl_username: str = ""
    """The login's name, where `kafka.security_protocol` begins with SASL."""
    sasl_password: SecretStr = SecretStr("")
    """The login's password; give it as `TIDEWISE_KAFKA__SASL_PASSWORD`, not by `--set`."""

    @field_validator("fields")
    @classmethod
    def _our_fields(cls, fields: dict[str, str]) -> dict[str, str]:
        for name, path in fields.items():
            if name not in FIELDS or not all(path.split(".")):
                msg = f"wanted names among {', '.join(FIELDS)}, each with a dotted path, got {name!r} = {path!r}"
                raise ValueError(msg)
        return fields


class MetricsSettings(Section):
    """What a worker or a trainer tells Prometheus; an API tells its own at `/metrics`."""

    host: str = "127.0.0.1"
    """The address on which a worker or a trainer answers `/metrics`; anybody who reaches it may read them."""
    port: int = Field(0, ge=0, le=65535)
    """The port on which a worker or a trainer answers `/metrics`; 0: none."""
