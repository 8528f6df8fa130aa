"""Write docs/tree.md: one line per file, grouped by package and room, from the docstrings.

    python scripts/file_tree.py            write docs/tree.md
    python scripts/file_tree.py --check    exit with 1 if docs/tree.md is out of date

A room is a folder inside a package. The first sentence of its docstring describes a package, room or module; the tables
below describe other files.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "tree.md"
PACKAGES = ("core", "stream", "model", "index", "storage", "serving", "tidewise", "benchmarks")
SKIPPED = {"__init__.py", "__main__.py"}
HEAD = """# File tree

Written by `python scripts/file_tree.py` from the docstrings; do not edit. A test compares it with the disk. Imports
point down only: `tidewise`, then `stream` and `serving`, then `model`, `index` and `storage`, then `core`.
"""
# Folders and files without a docstring.
FOLDERS = {
    "serving/pages/": "The dashboard: one page, its scripts and styles, uPlot; no build step.",
    "storage/migrations/": "Alembic migrations, one file per schema change.",
}
OTHER_FOLDERS = {
    "scripts/": (
        "Tools of this repository.",
        {
            "kafka.sh": "Start and stop one Kafka broker for demos and tests.",
            "secrets.sh": "Make the secrets of docker-compose.yml.",
            "typescript/": "Calls with the generated TypeScript types, which `make typescript` checks.",
        },
    ),
    "deploy/": (
        "The proxy and the monitoring of the distributed system, and its manifests for Kubernetes.",
        {
            "alertmanager.yml": "Who is told of alerts: a sample.",
            "alerts.yml": "Alert rules of Prometheus.",
            "Caddyfile": "The proxy: TLS, and requests spread over the APIs.",
            "grafana/": "The Grafana dashboard.",
            "kubernetes/": "Manifests for kustomize: a base, components and an example of an overlay.",
            "prometheus.yml": "What Prometheus scrapes.",
            "requirements.txt": "The packages of the image, by version and hash; `make lock` writes it.",
            "uv.txt": "What installs the packages of the image, by version and hash; `make lock` writes it.",
        },
    ),
    "tests/": (
        "Grouped by what they need.",
        {
            "contract/": "One suite for every implementation of the store.",
            "crash/": "Killed processes, full disks, damaged models.",
            "e2e/": "The demo and the dashboard in a real browser.",
            "golden/": "Equality with the outputs of the released HM4SR code.",
            "site/": "The built documentation site, by `make docs-test`.",
            "integration/": "Real servers, databases and brokers.",
            "memory_store/": "The store in memory that unit tests use, one module for each port.",
            "services/": "Starts the processes that tests use.",
            "unit/": "No input or output; mirrors the packages.",
        },
    ),
    "docs/": (
        "The pages of the documentation site.",
        {
            "assets/": "Styles of the site.",
            "decisions/": "Decision records.",
            "images/": "Pictures; `make screenshots` takes those of the dashboard.",
            "reference/": "API reference, filled from docstrings.",
        },
    ),
}
OTHER_FILES = {
    ".ci/run": "What continuous integration runs.",
    ".github/": "Workflow, issue and pull request templates.",
    "Dockerfile": "One image for every process.",
    "docker-compose.yml": "The distributed system in containers.",
    "Makefile": "The commands of a developer.",
    "mkdocs.yml": "The documentation site.",
    "constraints.txt": "Pinned versions of all dependencies.",
    "pyproject.toml": "Dependencies with their purpose, tools, import contracts.",
}

Section = tuple[str, str, list[tuple[str, str]]]


def sentence_of(path: Path) -> str:
    """The first sentence of a module's docstring."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    text = " ".join(docstring.split("\n\n")[0].split())
    return re.split(r"(?<=[a-z)`0-9])[.:] (?=[A-Z])", text)[0].rstrip(".:") + "." if text else ""


def sections() -> Iterator[Section]:
    """Packages and rooms with their sentence and their files, then everything else."""
    for package in PACKAGES:
        for folder in [ROOT / package, *sorted((ROOT / package).rglob("*/"))]:
            name = f"{folder.relative_to(ROOT)}/"
            if name in FOLDERS:
                yield name, FOLDERS[name], []
            elif (folder / "__init__.py").exists() and not name.startswith(tuple(FOLDERS)):
                yield name, sentence_of(folder / "__init__.py"), list(_modules(folder))
    for folder_name, (line, files) in OTHER_FOLDERS.items():
        yield folder_name, line, sorted([*_modules(ROOT / folder_name), *files.items()])
    yield "", "Other files.", list(OTHER_FILES.items())


def _modules(folder: Path) -> Iterator[tuple[str, str]]:
    """The Python files right in a folder."""
    for path in sorted(folder.glob("*.py")):
        if path.name not in SKIPPED and folder.name != "tests":
            yield path.name, sentence_of(path)


def entries() -> Iterator[tuple[str, str]]:
    """Every path of the tree with its line."""
    for folder, line, files in sections():
        if folder:
            yield folder, line
        yield from ((f"{folder}{name}", text) for name, text in files)


def text() -> str:
    """The page."""
    lines = [HEAD]
    for folder, line, files in sections():
        level = "###" if folder.count("/") > 1 else "##"
        lines.append(f"{level} {folder.rstrip('/') or line.rstrip('.')}\n")
        if folder:
            lines.append(f"{line}\n")
        if files:
            lines.append("| File | Content |\n|---|---|")
            lines += [f"| `{name}` | {sentence} |" for name, sentence in files]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Write or compare."""
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text(), encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != text():
        sys.exit("docs/tree.md is out of date; run python scripts/file_tree.py")


if __name__ == "__main__":
    main()
