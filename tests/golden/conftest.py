"""The option that names the file of golden vectors."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest tests/golden --golden FILE`."""
    parser.addoption("--golden", metavar="FILE", help="outputs of the released HM4SR code, as safetensors")
