"""Secured listeners of a test's broker: SASL, SASL over TLS, client certificates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion
from services.certificates import Certificates, certificates

PASSWORD = "open sesame"
NAMES = ("LOGIN", "TLSLOGIN", "TLS")


@dataclass(frozen=True)
class SecuredListeners:
    """Three more listeners: LOGIN (SASL PLAIN), TLSLOGIN (SCRAM over TLS), TLS (client certificates)."""

    ports: dict[str, int]
    pems: Certificates

    def properties(self, listeners: str) -> str:
        """The lines of the broker's configuration; `listeners`: those that it has anyway."""
        module = "org.apache.kafka.common.security"
        listeners = ",".join([listeners, *(f"{name}://127.0.0.1:{port}" for name, port in self.ports.items())])
        tls = "\n".join(
            f"listener.name.{name}.ssl.{line}"
            for name in ("tls", "tlslogin")
            for line in (
                "keystore.type=PEM",
                f"keystore.location={self.pems.broker}",
                "truststore.type=PEM",
                f"truststore.location={self.pems.authority}",
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

    def settings(self, address: str) -> dict[str, tuple[str, dict[str, str]]]:
        """The address of each listener and what clients set; gives the broker at `address` the user of SCRAM."""
        admin = KafkaAdminClient(bootstrap_servers=address)
        admin.alter_user_scram_credentials(
            [UserScramCredentialUpsertion("tidewise", ScramMechanism.SCRAM_SHA_512, PASSWORD)]
        )
        admin.close()
        login = {"sasl_username": "tidewise", "sasl_password": PASSWORD}
        authority = str(self.pems.authority)
        settings = {
            "LOGIN": login | {"security_protocol": "SASL_PLAINTEXT"},
            "TLSLOGIN": login
            | {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", "ssl_ca_file": authority},
            "TLS": {"security_protocol": "SSL", "ssl_ca_file": authority, "ssl_cert_file": str(self.pems.client)},
        }
        return {name: (f"127.0.0.1:{port}", settings[name]) for name, port in self.ports.items()}


def secured_listeners(folder: Path, ports: list[int]) -> SecuredListeners:
    """With fresh certificates in the folder."""
    return SecuredListeners(dict(zip(NAMES, ports, strict=True)), certificates(folder))
