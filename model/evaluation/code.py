"""The version of the code behind a result: a hash of a module and of everything of ours that it imports.

Comments, docstrings and layout don't count. Independent of results.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("core", "model", "stream")


@cache
def code_version(module: str) -> str:
    """The hash of a module and of all modules of these packages that it needs, directly or not."""
    names: set[str] = set()
    todo = [module]
    while todo:
        name = todo.pop()
        if name not in names:
            names.add(name)
            todo += _imported(name)
    joined = "\n".join(f"{name} {_code(name)}" for name in sorted(names))
    return hashlib.blake2b(joined.encode(), digest_size=8).hexdigest()


@cache
def _tree(module: str) -> ast.Module:
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


def _imported(module: str) -> list[str]:
    """Modules of ours that a module imports anywhere; none is imported relatively."""
    names: list[str] = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.append(node.module)
    return [name for name in names if name.partition(".")[0] in PACKAGES]


def _code(module: str) -> str:
    """The module as a tree without positions and docstrings."""
    tree = _tree(module)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)
