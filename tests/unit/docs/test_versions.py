"""The version and the supported Pythons are the same wherever they are written."""

from __future__ import annotations

import re
import tomllib

from pages import ROOT, page

from tidewise import __version__

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_newest_entry_of_the_changelog_is_this_version() -> None:
    newest = re.findall(r"^## (\S+)", page("CHANGELOG.md").text, re.M)[0]
    assert newest == PROJECT["version"] == __version__


def test_the_readme_names_the_pythons_that_the_package_accepts() -> None:
    oldest, newest = re.findall(r"3\.(\d+)", PROJECT["requires-python"])
    assert f"Python 3.{oldest} to 3.{int(newest) - 1}" in page("README.md").text


def test_every_extra_that_a_page_tells_to_install_exists() -> None:
    extras = {
        name for at in ("README.md", "docs/operations.md") for name in re.findall(r"tidewise\[(\w+)\]", page(at).text)
    }
    assert extras <= set(PROJECT["optional-dependencies"])
