"""The metrics port of a process without an API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server

from core.errors import InvalidSettings
from tidewise.settings.observability import MetricsSettings


@contextmanager
def exposed(registry: CollectorRegistry, settings: MetricsSettings) -> Iterator[None]:
    """Serve http://HOST:PORT/metrics until the end of the block; not at all with port 0."""
    host, port = settings.host, settings.port
    if not port:
        yield
        return
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        msg = f"metrics.port: cannot listen on {host}:{port} ({error.strerror}); choose another, or 0 for no metrics"
        raise InvalidSettings(msg) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
