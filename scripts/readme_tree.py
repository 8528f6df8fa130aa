"""Writes the tree in README.md: a line per module from its docstring, and a line per other file and folder from here.

    python scripts/readme_tree.py            put the tree into README.md
    python scripts/readme_tree.py --check    fail where README.md has another one

Knows nothing about what the modules do.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- tree: scripts/readme_tree.py -->\n```text\n", "```\n<!-- end of tree -->"
NAME_WIDTH, TEXT_WIDTH = 25, 92

PACKAGES = {
    "core": "the domain: standard library and numpy only",
    "stream": "the only place that knows Kafka and Faust",
    "model": "the only place that knows torch",
    "index": "the only place that knows FAISS",
    "storage": "the only place that knows SQLAlchemy: SQLite and PostgreSQL",
    "serving": "the only place that knows HTTP",
    "tidewise": "the composition root: settings, wiring, the command line",
    "benchmarks": "measurements that anybody can repeat",
    "scripts": "tools of this repository",
}
OTHERS = {
    "scripts/kafka.sh": "one real Kafka node, for demos and tests",
    "deploy/": "what watches a distributed system",
    "deploy/prometheus.yml": "what Prometheus scrapes",
    "deploy/grafana/": "our dashboard",
    "tests/": "folders say the price",
    "tests/unit/": "no I/O",
    "tests/contract/": "one suite over every implementation of the store",
    "tests/integration/": "real servers, databases and brokers",
    "tests/crash/": "kill -9, full disks, damaged models",
    "tests/e2e/": "the demo and the dashboard, as a person meets them, in a real browser",
    "tests/golden/": "parity with the released HM4SR code",
    "tests/services/": "how tests start real processes",
    "docs/": "architecture, operations, API, settings",
    "docs/images/": "the dashboard, as `make screenshots` takes it",
    "docs/decisions/": "why it is so, a page each",
    "serving/pages/": "the dashboard, without a build: one page, its scripts and styles, uPlot",
    "storage/migrations/": "one file for each change of the tables",
    "tidewise/commands/": "one module for each kind of command",
    ".ci/run": "what CI runs",
    "Dockerfile": "one image for every role",
    "docker-compose.yml": "the distributed system in containers",
    "Makefile": "everything a developer types",
    "constraints.txt": "the pinned versions",
    "pyproject.toml": "dependencies with their purpose, tools, layer contracts",
}
LEFT_OUT = {"__init__.py", "__main__.py"}
NAMES = ("Faust",)  # they keep their capital letter


def sentence_of(path: Path) -> str:
    """The first sentence of a module's docstring, without the module's own name, cut at a sign where it is long."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    text = " ".join(docstring.split("\n\n")[0].split())
    text = re.split(r"(?<=[a-z)`0-9])\. (?=[A-Z])", text)[0].rstrip(".:")
    name, colon, rest = text.partition(": ")
    if colon and name.lower().removeprefix("the ").replace(" ", "_") == path.stem:
        text = rest
    if len(text) > TEXT_WIDTH:
        text = _cut(text)
    is_name = text.startswith(NAMES) or not (text[1:2].islower() or text[1:2] == " ")
    return text if is_name else text[:1].lower() + text[1:]


def _cut(text: str) -> str:
    """A long sentence up to its last sign that fits and stands in no bracket; else up to the last word that fits."""
    places = [match.start() for match in re.finditer(r"[:,;] ", text)]
    fitting = [place for place in places if TEXT_WIDTH // 4 < place <= TEXT_WIDTH and _is_balanced(text[:place])]
    return text[: fitting[-1]] if fitting else text[:TEXT_WIDTH].rpartition(" ")[0] + " ..."


def _is_balanced(text: str) -> bool:
    return all(text.count(one) == text.count(other) for one, other in ("()", "[]", "{}"))


def entries() -> Iterator[tuple[str, str]]:
    """Every path with its line, packages first."""
    others = dict(OTHERS)
    for package, line in PACKAGES.items():
        yield f"{package}/", line
        named = {path: sentence_of(ROOT / path) for path in _modules(package)}
        named |= {path: others.pop(path) for path in OTHERS if path.startswith(f"{package}/")}
        yield from sorted(named.items(), key=lambda entry: ("/" in entry[0].removeprefix(f"{package}/"), entry[0]))
    yield from others.items()


def _modules(package: str) -> list[str]:
    paths = [path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py") if path.name not in LEFT_OUT]
    return sorted(str(path) for path in paths if "migrations" not in path.parts and path.parts[1] != "drift")


def tree() -> str:
    """The tree as text: each path below its folder, with its line."""
    lines, top = [], ""
    for path, line in entries():
        inside = bool(top) and path.startswith(top) and path != top
        name = f"  {path.removeprefix(top)}" if inside else path
        if not inside and path.endswith("/"):
            top = path
        lines.append(f"{name:<{NAME_WIDTH}} {line}".rstrip())
    return "\n".join(lines) + "\n"


def with_tree(page: str) -> str:
    """The page with the tree between its marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"README.md: wanted the marks of the tree: {BEGIN!r} and {END!r}; put them back")
    return before + begin + tree() + end + after


def main() -> None:
    """Write, or compare."""
    readme = ROOT / "README.md"
    page = readme.read_text(encoding="utf-8")
    wanted = with_tree(page)
    if "--check" in sys.argv[1:]:
        sys.exit(None if page == wanted else "README.md: the tree is out of date; run python scripts/readme_tree.py")
    readme.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
