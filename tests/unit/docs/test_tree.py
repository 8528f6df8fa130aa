"""The tree in the README is that of the disk."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator

from pages import ROOT, page

TOOL = runpy.run_path(str(ROOT / "scripts" / "readme_tree.py"))
IGNORED = set((ROOT / ".gitignore").read_text(encoding="utf-8").split())


def listed() -> Iterator[str]:
    """Every path of the tree on the page."""
    block = re.search(r"<!-- tree.*?```text\n(.*?)```", page("README.md").text, re.S)
    assert block is not None
    folder = ""
    for line in block[1].splitlines():
        name = line.split()[0]
        if not line.startswith(" "):
            folder = name if name.endswith("/") else ""
            yield name
        else:
            yield folder + name


def test_the_tree_has_a_line_for_every_module_and_for_nothing_else() -> None:
    assert list(listed()) == [path for path, _ in TOOL["entries"]()], "run python scripts/readme_tree.py"


def test_every_path_in_the_tree_exists() -> None:
    assert [name for name in listed() if not (ROOT / name).exists()] == []


def test_every_line_of_the_tree_says_something() -> None:
    assert [path for path, line in TOOL["entries"]() if not line] == []


def test_every_folder_of_the_top_and_of_the_tests_is_in_the_tree() -> None:
    folders = [path for path in [*ROOT.iterdir(), *(ROOT / "tests").iterdir()] if path.is_dir()]
    names = {f"{path.relative_to(ROOT)}/" for path in folders if not path.name.startswith((".", "__"))}
    names = {name for name in names if not name.endswith(".egg-info/") and name not in IGNORED}
    assert names <= set(listed())
