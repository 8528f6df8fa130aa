"""The version and the supported Pythons are the same wherever they are written."""

from __future__ import annotations

import re
import tomllib

from pages import ROOT, page

from tidewise import __version__

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_newest_release_in_the_changelog_is_this_version() -> None:
    releases = re.findall(r"^## \[(\d\S*)\] - \d{4}-\d\d-\d\d$", page("CHANGELOG.md").text, re.M)
    assert releases[0] == PROJECT["version"] == __version__


def test_changelog_follows_keep_a_changelog() -> None:
    releases = re.findall(r"^## (.+)$", page("CHANGELOG.md").text, re.M)
    assert releases[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", release) for release in releases[1:])


def test_readme_names_the_supported_pythons() -> None:
    oldest, newest = re.findall(r"3\.(\d+)", PROJECT["requires-python"])
    for name in ("README.md", "CONTRIBUTING.md", "docs/install.md"):
        assert f"Python 3.{oldest} to 3.{int(newest) - 1}" in page(name).text


def test_readme_has_at_most_200_lines() -> None:
    assert len(page("README.md").text.splitlines()) <= 200


def test_extras_named_in_pages_exist() -> None:
    extras = {
        extra
        for name in ("README.md", "docs/install.md", "docs/operations.md")
        for names in re.findall(r"tidewise\[([\w,]+)\]", page(name).text)
        for extra in names.split(",")
    }
    assert {"drift", "kafka"} <= extras <= set(PROJECT["optional-dependencies"])
