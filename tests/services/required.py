"""What a test needs from the machine: a program that is missing skips on a laptop and fails in CI."""

from __future__ import annotations

import os
import shutil

import pytest


def program(name: str, *, package: str) -> str:
    """Where a program lies."""
    found = shutil.which(name)
    if found is None:
        reason = f"needs {name}; install it (Debian: {package})"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found
