"""The architecture as a test: modules say what they are, import in no circles, and files and functions stay small."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Set
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("core", "stream", "model", "index", "storage", "serving", "tidewise")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
BENCHMARKS = sorted(path for folder in ("benchmarks", "scripts") for path in (ROOT / folder).rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_TEST_NAME = 70


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_every_module_has_a_docstring_whose_first_paragraph_is_a_sentence() -> None:
    first = {name_of(path): (ast.get_docstring(tree_of(path)) or "none").split("\n\n")[0] for path in FILES}
    assert {name: text for name, text in first.items() if not text.endswith((".", ":"))} == {}


def test_files_are_short() -> None:
    num_lines = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: num for name, num in num_lines.items() if num > MAX_FILE_LINES} == {}


def test_functions_are_short() -> None:
    num_lines = {
        f"{name_of(path)}:{node.name}": _num_lines(node)
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: num for name, num in num_lines.items() if num > MAX_FUNCTION_LINES} == {}


def _num_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


# --- circles: modules that import each other, directly or through others; imports for type checkers count too


def imports_of(module: ast.Module, modules: Set[str]) -> set[str]:
    """The modules that a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= (members & modules) or {node.module}
    return names & modules


def circles_in(imports: Mapping[str, Set[str]]) -> list[list[str]]:
    """The groups of modules that reach each other: what is left after removing modules that import, or that
    nothing imports, again and again.
    """
    left = {name: set(targets) - {name} for name, targets in imports.items()}
    while True:
        imported = {target for targets in left.values() for target in targets}
        ends = {name for name, targets in left.items() if not targets or name not in imported}
        if not ends:
            return sorted([name, *sorted(targets)] for name, targets in left.items())
        left = {name: targets - ends for name, targets in left.items() if name not in ends}


def test_no_modules_import_each_other_in_a_circle() -> None:
    trees = {module_of(path): tree_of(path) for path in FILES}
    assert circles_in({name: imports_of(tree, trees.keys()) for name, tree in trees.items()}) == []


def test_the_search_for_circles_finds_them() -> None:
    imports = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}, "e": set[str]()}
    assert circles_in(imports) == [["b", "c"], ["c", "b"]]
    assert circles_in({"a": {"b"}, "b": {"c"}, "c": set[str]()}) == []


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import core.clock", {"core.clock"}),
        ("from core import clock", {"core.clock"}),
        ("from core.clock import Clock", {"core.clock"}),
        ("def f():\n    from storage import open_store", {"storage"}),
        ("import json", set()),
    ],
)
def test_the_search_for_circles_reads_imports(source: str, modules: set[str]) -> None:
    assert imports_of(ast.parse(source), {"core", "core.clock", "storage"}) == modules


def room_of(module: str) -> str:
    """The folder of a module, or the module itself where it lies directly in its package."""
    parts = module.split(".")
    return ".".join(parts[:2])


@pytest.mark.parametrize("package", PACKAGES)
def test_no_rooms_of_a_package_import_each_other_in_a_circle(package: str) -> None:
    trees = {module_of(path): tree_of(path) for path in FILES if path.relative_to(ROOT).parts[0] == package}
    rooms: dict[str, set[str]] = {}
    for name, tree in trees.items():
        rooms.setdefault(room_of(name), set()).update(map(room_of, imports_of(tree, trees.keys())))
    assert circles_in(rooms) == []


# --- one meaning for each class name


def test_each_class_name_stands_for_one_thing() -> None:
    """Private classes belong to their module. Two kinds of classes bear the name of what they mirror:

    a repository of storage that of its port in `core.ports`, a schema of the API that of the record it serialises.
    """
    homes: dict[str, list[str]] = {}
    for path in FILES + BENCHMARKS:
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not is_mirror(path, node.name):
                homes.setdefault(node.name, []).append(module_of(path))
    assert {name: modules for name, modules in homes.items() if len(modules) > 1} == {}


def is_mirror(path: Path, name: str) -> bool:
    """Whether a class bears the name of the port that it implements, or of the record that it serialises."""
    folder = path.parent.relative_to(ROOT).as_posix()
    return folder == "serving/schemas" or (folder == "storage/repositories" and name.endswith("Repository"))


# --- placeholders that would reach a user: "{name}" in a string that is no f-string and is never formatted

PLACEHOLDER = re.compile(r"\{[a-z_][a-z0-9_.]*(\[[^\]]*\])?(![rsa])?(:[^{}]*)?\}")


def placeholders_in(tree: ast.Module) -> list[str]:
    """Strings that look as if an `f` were missing, and are neither formatted, nor routes, nor docstrings."""
    innocent = {id(part) for node in ast.walk(tree) for root in _innocent(node) for part in ast.walk(root)}
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return [
        text.value
        for text in texts
        if " " in text.value and PLACEHOLDER.search(text.value) and id(text) not in innocent
    ]


def _innocent(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Attribute) and node.attr.startswith("format"):
        return [node.value]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return node.decorator_list
    return [node.value] if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) else []


def test_no_placeholder_would_reach_a_user() -> None:
    placeholders = {name_of(path): placeholders_in(tree_of(path)) for path in FILES}
    assert {name: found for name, found in placeholders.items() if found} == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('msg = "wanted {name} here"', ["wanted {name} here"]),
        ('raise ValueError("got {value!r} and {size:.2f}")', ["got {value!r} and {size:.2f}"]),
        ('msg = f"wanted {name} here"', []),
        ('msg = f"wanted {name} " "and {other} here"', [" and {other} here"]),
        ('"wanted {name} here".format(name=1)', []),
        ('@app.get("/v1/users/{id}", summary="the {id} of")\ndef f(): ...', []),
        ('def f():\n    "Docs of {braces} here."', []),
    ],
)
def test_the_search_for_placeholders_finds_them(source: str, found: list[str]) -> None:
    assert placeholders_in(ast.parse(source)) == found


def test_names_of_tests_are_short() -> None:
    names = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
    }
    assert {name for name in names if len(name) > MAX_TEST_NAME} == set()
