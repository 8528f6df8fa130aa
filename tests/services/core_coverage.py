"""Which lines and branches of `core` the tests of a run execute, by SlipCover.

Its probes go once they have been reached, so that measuring adds a twentieth to the time of tests, where a tracer
doubles it. The process that has collected the tests imports `core` with the probes, and those that run them are its
forks. Each sends what it has found to the one that hands out the tests, which reports it.
"""

from __future__ import annotations

import json
import pkgutil
import sys
from importlib import import_module
from io import StringIO
from typing import Any

import slipcover

PACKAGE = "core"
NOT_COUNTED = [r"\.\.\.$"]  # bodies of protocols; SlipCover leaves out `if TYPE_CHECKING:` by itself
MIN_PERCENT = 95.0


_measured: list[slipcover.Slipcover] = []  # at most one, that of this process


def measure() -> None:
    """Import all of `core` with probes; to be called before anything else imports it."""
    imported = [name for name in sys.modules if name.startswith(f"{PACKAGE}.")]
    assert not imported, f"imported without probes: {imported}"
    measured = slipcover.Slipcover(immediate=True, branch=True, source=[PACKAGE], exclude_also=NOT_COUNTED)
    _measured.append(measured)
    with slipcover.ImportManager(measured, slipcover.FileMatcher(sources=[PACKAGE])):
        for module in pkgutil.walk_packages(import_module(PACKAGE).__path__, f"{PACKAGE}."):
            import_module(module.name)


def executed() -> str | None:
    """What this process and those that it is a fork of have executed, as JSON; None if it is not measured."""
    return json.dumps(_measured[0].get_coverage()) if _measured else None


class CoverageReport:
    """The coverage by all test processes of a run."""

    def __init__(self) -> None:
        self._merged: dict[str, Any] = {}

    def add(self, executed: str) -> None:
        """What one of them has executed."""
        found = json.loads(executed)
        self._merged = slipcover.merge_coverage(self._merged, found) if self._merged else found

    @property
    def percent(self) -> float | None:
        """The share of lines and branches that were executed; None if nothing was measured."""
        return float(self._merged["summary"]["percent_covered"]) if self._merged else None

    @property
    def is_enough(self) -> bool:
        """Whether it is at least `MIN_PERCENT`, or nothing was measured."""
        return self.percent is None or self.percent >= MIN_PERCENT

    def __str__(self) -> str:
        text = StringIO()
        slipcover.print_coverage(self._merged, outfile=text, skip_covered=True)
        return f"{text.getvalue()}\nCoverage of {PACKAGE}: {self.percent:.2f}% (at least {MIN_PERCENT:g}%)"
