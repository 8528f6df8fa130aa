"""Settings of Kafka and of one worker: plain values, filled in by the composition root.

Independent of where settings come from (files, variables, flags).
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from core.clock import DAY_MS
from core.errors import InvalidSettings

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
ISOLATION_LEVELS = ("read_committed", "read_uncommitted")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """Authentication and encryption between clients and brokers.

    `ca_file`: empty for the system's certificate authorities. `cert_file`, `key_file`: for brokers that require client
    certificates.
    """

    protocol: str = "PLAINTEXT"
    mechanism: str = "PLAIN"
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            msg = f"kafka.security_protocol: wanted one of {', '.join(PROTOCOLS)}, got {self.protocol!r}"
            raise InvalidSettings(msg)
        if self.mechanism not in MECHANISMS:
            msg = f"kafka.sasl_mechanism: wanted one of {', '.join(MECHANISMS)}, got {self.mechanism!r}"
            raise InvalidSettings(msg)
        if self.sasl and not (self.username and self.password):
            msg = f"kafka.sasl_username, kafka.sasl_password: wanted with {self.protocol}, but one is empty; set both"
            raise InvalidSettings(msg)
        if self.key_file and not self.cert_file:
            msg = "kafka.ssl_cert_file: wanted the certificate that belongs to kafka.ssl_key_file, got none; set it"
            raise InvalidSettings(msg)
        if not self.encrypted and (self.ca_file or self.cert_file):
            msg = (
                "kafka.ssl_ca_file, kafka.ssl_cert_file: wanted with SSL or SASL_SSL only, got them with "
                f"{self.protocol}, which is not encrypted; set kafka.security_protocol"
            )
            raise InvalidSettings(msg)

    @property
    def sasl(self) -> bool:
        """Whether clients authenticate with a user name and a password."""
        return self.protocol.startswith("SASL")

    @property
    def encrypted(self) -> bool:
        """Whether the connection is TLS."""
        return self.protocol.endswith("SSL")

    def tls(self) -> ssl.SSLContext | None:
        """The TLS context, which verifies the brokers' host names; None without encryption."""
        if not self.encrypted:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file or None, password=_no_password)
        except OSError as error:  # ssl.SSLError is one
            msg = (
                "kafka.ssl_ca_file, kafka.ssl_cert_file, kafka.ssl_key_file: wanted readable PEM files, the key "
                f"without a password, got {error}"
            )
            raise InvalidSettings(msg) from error
        return context


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """A Kafka cluster, its topics and the consumer group of the workers.

    `isolation_level`: whether messages of a producer's transaction are read once it has committed, or at once and also
    those of transactions that are aborted.
    """

    servers: tuple[str, ...] = ("127.0.0.1:9092",)
    topic: str = "interactions"
    dead_letter_topic: str = "interactions.dead-letters"
    partitions: int = 4
    replication: int = 1
    min_insync_replicas: int = 1
    retention_ms: int = 7 * DAY_MS
    group: str = "tidewise"
    request_timeout_s: float = 10.0
    isolation_level: str = "read_committed"
    security: KafkaSecurity = field(default_factory=KafkaSecurity)

    def __post_init__(self) -> None:
        if not self.servers or not all(_is_address(server) for server in self.servers):
            msg = f"kafka.bootstrap_servers: wanted host:port, one or more, got {', '.join(self.servers) or 'none'}"
            raise InvalidSettings(msg)
        if self.isolation_level not in ISOLATION_LEVELS:
            msg = f"kafka.isolation_level: wanted one of {', '.join(ISOLATION_LEVELS)}, got {self.isolation_level!r}"
            raise InvalidSettings(msg)
        if self.partitions < 1 or self.replication < 1:
            got = f"{self.partitions}, {self.replication}"
            msg = f"kafka.partitions, kafka.replication_factor: wanted at least 1, got {got}"
            raise InvalidSettings(msg)

    @property
    def reads_committed(self) -> bool:
        """Whether messages of open and aborted transactions are left out."""
        return self.isolation_level == "read_committed"


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """One worker process.

    `name` is the group instance id: unique in the consumer group and the same after a restart, so that Kafka assigns
    the same partitions again within two seconds. `max_events`: a transaction is full with so many. `linger_s`: how long
    a first event waits for more while nothing is being applied. `session_timeout_s`: how long the worker may be silent
    until others get its partitions.
    """

    name: str = "worker-1"
    max_events: int = 2_000
    linger_s: float = 0.001
    session_timeout_s: float = 6.0
    stall_timeout_s: float = 60.0


def _no_password() -> str:
    """Otherwise OpenSSL would prompt at the terminal."""
    return ""


def _is_address(server: str) -> bool:
    host, colon, port = server.rpartition(":")
    return bool(host and colon and port.isdecimal() and 0 < int(port) < 65536)
