"""What a test needs from the machine: a program that is missing skips on a laptop and fails in CI."""

from __future__ import annotations

import os
import shutil
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest


def program(name: str, *, package: str) -> str:
    """Where a program lies."""
    path = shutil.which(name)
    if path is None:
        _missing(f"needs {name}; install it (Debian: {package})")
    return str(path)


def module(name: str, *, extra: str) -> Any:
    """A module of an extra of ours."""
    if find_spec(name) is None:
        _missing(f"needs {name}; install the extra {extra}")
    return import_module(name)


def _missing(reason: str) -> None:
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(reason)
    pytest.skip(reason)
