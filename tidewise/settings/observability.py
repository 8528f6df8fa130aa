"""The settings of logs and of the metrics port of processes without an API."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tidewise.settings.section import Section


class MetricsSettings(Section):
    """The Prometheus endpoint of a worker or a trainer; an API serves its own at `/metrics`."""

    host: str = "127.0.0.1"
    """The address on which a worker or a trainer serves `/metrics`, without authentication."""
    port: int = Field(0, ge=0, le=65535)
    """The port on which a worker or a trainer serves `/metrics`; 0: none."""


class LogSettings(Section):
    """The log of long-running processes, on standard error."""

    format: Literal["text", "json"] = "text"
    """`text`: lines for people; `json`: one object per line, for machines."""
