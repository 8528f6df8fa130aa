"""An unusable data folder is a clear error for every command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import InvalidSettings
from tidewise.bootstrap import open_system
from tidewise.data_folder import hold
from tidewise.settings.schema import load_settings


def opened(folder: Path) -> None:
    open_system(load_settings(overrides={"data.folder": str(folder)}, environment={})).close()


def held(folder: Path) -> None:
    with hold(folder):
        pass


@pytest.mark.parametrize("use", [opened, held])
def test_a_file_instead_of_the_data_folder_is_an_error(use: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(InvalidSettings, match=r"data\.folder: wanted a folder to write to, .*choose another --data"):
        use(tmp_path / "data")


@pytest.mark.parametrize("use", [opened, held])
def test_a_missing_data_folder_is_made(use: Callable[[Path], None], tmp_path: Path) -> None:
    use(tmp_path / "deep" / "data")
    assert (tmp_path / "deep" / "data").is_dir()
