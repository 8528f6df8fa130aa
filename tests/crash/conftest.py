"""A fresh copy of the small shop for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def shop(shop_template: Path, tmp_path: Path) -> Path:
    """The data folder of a shop without a server."""
    folder = tmp_path / "data"
    shutil.copytree(shop_template, folder)
    return folder
