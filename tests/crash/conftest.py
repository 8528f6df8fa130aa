"""A small shop with a trained model, a fresh copy of it for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from services.small_shop import build_small_shop, made_once


@pytest.fixture(scope="session")
def shop_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "small-shop", build_small_shop)


@pytest.fixture
def shop(shop_template: Path, tmp_path: Path) -> Path:
    """The data folder of a shop that nobody serves yet."""
    folder = tmp_path / "data"
    shutil.copytree(shop_template, folder)
    return folder
