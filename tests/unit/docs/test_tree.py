"""The file tree of the documentation is that of the disk."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from functools import cache

from pages import ROOT, page

TOOL = runpy.run_path(str(ROOT / "scripts" / "file_tree.py"))
ENTRIES = cache(lambda: list(TOOL["entries"]()))
IGNORED = set((ROOT / ".gitignore").read_text(encoding="utf-8").split())


def listed() -> Iterator[str]:
    """Every path of the tree on the page."""
    folder = ""
    for line in page("docs/tree.md").text.splitlines():
        if heading := re.match(r"##+ (.+)", line):
            folder = "" if heading[1] == "Other files" else f"{heading[1]}/"
            if folder:
                yield folder
        elif row := re.match(r"\| `(.+?)` \|", line):
            yield folder + row[1]


def test_tree_lists_every_module_and_nothing_else() -> None:
    assert list(listed()) == [path for path, _ in ENTRIES()], "run python scripts/file_tree.py"


def test_every_path_of_the_tree_exists() -> None:
    assert [name for name in listed() if not (ROOT / name).exists()] == []


def test_every_line_of_the_tree_has_a_text() -> None:
    assert [path for path, line in ENTRIES() if not line] == []


def test_every_module_of_the_packages_is_in_the_tree() -> None:
    modules = {
        str(path.relative_to(ROOT))
        for package in TOOL["PACKAGES"]
        for path in (ROOT / package).rglob("*.py")
        if path.name not in TOOL["SKIPPED"] and "migrations" not in path.parts
    }
    assert modules <= set(listed())


def test_every_top_folder_and_test_folder_is_in_the_tree() -> None:
    folders = [path for path in [*ROOT.iterdir(), *(ROOT / "tests").iterdir()] if path.is_dir()]
    names = {f"{path.relative_to(ROOT)}/" for path in folders if not path.name.startswith((".", "__"))}
    names = {name for name in names if not name.endswith(".egg-info/") and name not in IGNORED}
    assert names <= set(listed())
