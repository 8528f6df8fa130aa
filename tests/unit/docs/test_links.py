"""Links and file names in the pages lead somewhere, every page can be reached, every decision is listed."""

from __future__ import annotations

import re

import pytest
from pages import ROOT, Page, anchor_of, page, pages

DECISIONS = [at for at in pages() if re.match(r"docs/decisions/\d", at.name)]
MENTIONED = re.compile(r"`((?:core|stream|model|index|storage|serving|tidewise|tests|docs|scripts)/[\w./-]+)`")


def test_relative_links_lead_to_existing_files_and_headings() -> None:
    anchors = {at.path: at.anchors() for at in pages()}
    for at in pages():
        for link in at.links():
            path, _, anchor = link.partition("#")
            target = (at.path.parent / path).resolve() if path else at.path
            assert target.exists(), f"{at.name}: {link}"
            assert target.is_relative_to(ROOT), f"{at.name}: {link}"
            assert not anchor or anchor in anchors[target], f"{at.name}: {link}"


def test_every_file_named_in_a_sentence_exists() -> None:
    named = {(at.name, path) for at in pages() for path in MENTIONED.findall(at.prose)}
    assert {(name, path) for name, path in named if not (ROOT / path).exists()} == set()


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [page("README.md")]
    while waiting:
        at = waiting.pop()
        if at.name not in reached:
            reached.add(at.name)
            linked = [(at.path.parent / link.partition("#")[0]).resolve() for link in at.links()]
            waiting += [Page(path) for path in linked if path.suffix == ".md"]
    assert reached == {at.name for at in pages()}


def test_every_path_named_in_the_contributing_page_exists() -> None:
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:toml|txt|yml|md))`", page("CONTRIBUTING.md").prose)
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_decision_index_lists_every_decision_with_date_and_status() -> None:
    rows = re.findall(
        r"^\| \[(\d{4})\]\((\S+)\) \| (.+?) \| (\S+) \| (.+?) \|$", page("docs/decisions/README.md").text, re.M
    )
    assert [number for number, *_ in rows] == [f"{number:04}" for number in range(1, len(DECISIONS) + 1)]
    heads = [f"Date: {date} · Status: {status}" for *_, date, status in rows]
    assert [link for _, link, *_ in rows] == [at.path.name for at in DECISIONS]
    assert heads == [at.text.splitlines()[2] for at in DECISIONS]


def test_decisions_state_number_choice_and_cost() -> None:
    for at in DECISIONS:
        assert at.text.startswith(f"# {at.path.stem[:4]} "), at.name
        assert "**Chosen.**" in at.text, at.name
        assert "**What it costs.**" in at.text, at.name


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [("Backup and restore", "backup-and-restore"), ("What is `user_seq`?", "what-is-user_seq"), ("A, b", "a-b")],
)
def test_anchors_match_those_of_github(heading: str, anchor: str) -> None:
    assert anchor_of(heading) == anchor


def test_every_setting_named_in_a_page_exists() -> None:
    names = set(re.findall(r"^\| `(\w+\.[\w.]+)`", page("docs/settings.md").text, re.M))
    sections = {name.partition(".")[0] for name in names}
    unknown = {
        f"{at.name}: {name}"
        for at in pages()
        if at.name not in {"CHANGELOG.md", "docs/tree.md"}
        for name in re.findall(r"`([a-z]+\.[a-z_]+)`", at.prose)
        if name.partition(".")[0] in sections and name not in names and not name.endswith((".safetensors", ".py"))
    }
    assert unknown == set()


def test_every_module_that_a_page_runs_exists() -> None:
    modules = {name for at in pages() for name in re.findall(r"python -m ([\w.]+)", at.text)}
    paths = {name: ROOT / name.replace(".", "/") for name in modules}
    assert [
        n for n, path in paths.items() if not (path.with_suffix(".py").exists() or (path / "__main__.py").exists())
    ] == []
