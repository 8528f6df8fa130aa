"""An unusable data folder is a clear error for every command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import InvalidSettings, StoreUnavailable
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
    assert (tmp_path / "deep" / "data").stat().st_mode & 0o777 == 0o700, "it holds personal data"


@pytest.mark.parametrize("name", ["up.lock", "tidewise.db-turn"])
def test_files_that_are_written_are_no_links_to_others(name: str, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / name).symlink_to(tmp_path / "precious")
    with pytest.raises((InvalidSettings, StoreUnavailable), match="symbolic links"):
        held(tmp_path) if name == "up.lock" else opened(tmp_path)
    assert (tmp_path / "precious").read_text() == "kept"
