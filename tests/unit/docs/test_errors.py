"""docs/operations.md lists every error with an operator action."""

from __future__ import annotations

import ast
import inspect
import re

from pages import ROOT, page

import core.errors

PACKAGES = ("core", "stream", "model", "index", "storage", "serving", "tidewise")
ROWS = dict(re.findall(r"^\| `(\w+)` \| .+? \| (.*) \|$", page("docs/operations.md").text, re.M))
DOMAIN = {name: kind for name, kind in inspect.getmembers(core.errors, inspect.isclass)}


def errors_elsewhere() -> set[str]:
    """Public errors that other modules derive from ours."""
    names: set[str] = set()
    derives = re.compile(rf"class \w+\([^)]*\b({'|'.join(DOMAIN)})\b")  # parsing all modules takes seconds
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if derives.search(text) else ():
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                if bases & set(DOMAIN):
                    names.add(node.name)
    return names


def test_every_error_has_its_row() -> None:
    assert set(ROWS) == set(DOMAIN) | errors_elsewhere()


def test_every_row_says_what_to_do() -> None:
    assert [name for name, action in ROWS.items() if len(action.split()) < 2] == []


def test_every_operator_action_in_the_code_is_on_the_page() -> None:
    expected = [name for name, kind in DOMAIN.items() if "Operator action:" in (kind.__doc__ or "")]
    assert expected
    assert all(len(ROWS[name]) > 20 for name in expected)
