"""The settings of Kafka."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from core.events.interactions import FIELDS
from tidewise.settings.section import Amount, Count, Section


class KafkaSection(Section):
    """The event log of the distributed mode."""

    bootstrap_servers: str = ""
    """The brokers, as `host:port,host:port`; empty: no Kafka."""
    topic: str = Field("interactions", min_length=1)
    """The topic that events are produced to and consumed from."""
    group_id: str = Field("tidewise", min_length=1)
    """The consumer group of the workers."""
    partitions: Count = 4
    """The number of partitions of a topic that Tidewise creates; at most that many workers share the load."""
    replication_factor: Count = 1
    """The replication factor of a topic that Tidewise creates; 3 in a cluster of three or more brokers."""
    min_insync_replicas: Count = 1
    """The fewest replicas that must have an event before it is acknowledged, in a topic that Tidewise creates.

    At most `kafka.replication_factor`; 2 of 3 survive the loss of a broker without losing events or pausing."""
    retention_days: Amount = 7.0
    """The retention in days of a topic that Tidewise creates."""
    worker: str = Field("worker-1", min_length=1)
    """The name of a worker process: unique among running workers, and the same after a restart."""
    max_batch_events: Count = 2000
    """The maximum number of events in a worker's transaction; a message is never split."""
    linger_ms: Amount = 1.0
    """How many milliseconds a worker waits for more events before it starts a transaction."""
    session_timeout_s: float = Field(0.0, ge=0.0, le=300.0)
    """How many seconds a worker may be silent until others get its partitions.

    0: the least that the brokers allow, `group.min.session.timeout.ms`, but at least 3; 6 where they do not tell."""
    fields: dict[str, str] = Field(default_factory=dict)
    """A mapping from our fields to dotted paths in foreign JSON: `user_id = "payload.customer.id"`."""
    types: dict[str, str] = Field(default_factory=dict)
    """A mapping from foreign event types to ours: `pdp_view = "view"`."""
    isolation_level: Literal["read_committed", "read_uncommitted"] = "read_committed"
    """Whether a worker applies messages of a producer's transaction once it has committed, or at once and also those of
    transactions that are aborted."""
    time_unit: Literal["s", "ms", "us", "ns"] = "ms"
    """The unit of `time` in foreign JSON."""
    dead_letter_topic: str = Field("interactions.dead-letters", min_length=1)
    """The topic of messages that could not be applied, with the reason."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """The protocol of connections to the brokers, as in Kafka's `security.protocol`."""
    ssl_ca_file: str = ""
    """A PEM file of the CA certificates that verify the brokers; empty: those of the system."""
    ssl_cert_file: str = ""
    """A PEM file with the client certificate, for brokers that require one."""
    ssl_key_file: str = ""
    """A PEM file with the client key, without a password; empty: the key is in `kafka.ssl_cert_file`."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    """The SASL mechanism."""
    sasl_username: str = ""
    """The SASL user name, where `kafka.security_protocol` begins with SASL."""
    sasl_password: SecretStr = SecretStr("")
    """The SASL password; set it as `TIDEWISE_KAFKA__SASL_PASSWORD`, not by `--set`."""

    @model_validator(mode="after")
    def _replicas_suffice(self) -> Self:
        if self.min_insync_replicas > self.replication_factor:
            msg = (
                f"min_insync_replicas: wanted at most kafka.replication_factor, got {self.min_insync_replicas} and "
                f"{self.replication_factor}"
            )
            raise ValueError(msg)
        return self

    @field_validator("fields")
    @classmethod
    def _our_fields(cls, fields: dict[str, str]) -> dict[str, str]:
        for name, path in fields.items():
            if name not in FIELDS or not all(path.split(".")):
                msg = f"wanted names among {', '.join(FIELDS)}, each with a dotted path, got {name!r} = {path!r}"
                raise ValueError(msg)
        return fields
