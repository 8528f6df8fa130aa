"""Certificates for tests: an authority of our own, one for a broker on loopback, one for a client. Made by openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import certifi

# Of an elliptic curve: finding the primes of an RSA key takes a tenth of a second of CPU or several.
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificates:
    """PEM files; those of broker and client hold key and certificate."""

    authority: Path
    broker: Path
    client: Path


def certificates(folder: Path) -> Certificates:
    """Fresh ones, valid for a day."""
    authority, authority_key = folder / "authority.pem", folder / "authority.key"
    _openssl(
        "req", "-x509", *NEW_KEY, "-days", "1", "-subj", "/CN=test authority",
        "-keyout", str(authority_key), "-out", str(authority),
    )  # fmt: skip
    return Certificates(
        authority,
        broker=_signed(folder, "broker", authority, authority_key),
        client=_signed(folder, "client", authority, authority_key),
    )


def copy_one_authority(path: Path) -> None:
    """One of the authorities that HTTP clients trust by default."""
    end = "-----END CERTIFICATE-----\n"
    path.write_text(Path(certifi.where()).read_text().partition(end)[0] + end)


def _signed(folder: Path, name: str, authority: Path, authority_key: Path) -> Path:
    key, request, certificate, both = (folder / f"{name}.{suffix}" for suffix in ("key", "csr", "crt", "pem"))
    extensions = folder / f"{name}.ext"
    extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    _openssl(
        "req", *NEW_KEY, "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request)
    )  # fmt: skip
    _openssl(
        "x509", "-req", "-days", "1", "-in", str(request), "-CA", str(authority), "-CAkey", str(authority_key),
        "-CAcreateserial", "-extfile", str(extensions), "-out", str(certificate),
    )  # fmt: skip
    both.write_text(key.read_text() + certificate.read_text())
    return both


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"openssl {arguments[0]}: {done.stderr}"
