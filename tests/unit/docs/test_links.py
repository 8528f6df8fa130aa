"""Links and file names in the pages lead somewhere, every page can be reached, every decision is listed."""

from __future__ import annotations

import re

import pytest
from pages import ROOT, Page, anchor_of, page, pages

each_page = pytest.mark.parametrize("at", pages(), ids=lambda at: at.name)
DECISIONS = [at for at in pages() if re.match(r"docs/decisions/\d", at.name)]
MENTIONED = re.compile(r"`((?:core|stream|model|index|storage|serving|tidewise|tests|docs|scripts)/[\w./-]+)`")


@each_page
def test_every_relative_link_leads_to_a_file_and_to_a_heading_that_is_there(at: Page) -> None:
    for link in at.links():
        path, _, anchor = link.partition("#")
        target = (at.path.parent / path).resolve() if path else at.path
        assert target.exists(), f"{at.name}: {link}"
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in Page(target).anchors(), f"{at.name}: {link}"


@each_page
def test_every_file_that_a_sentence_names_exists(at: Page) -> None:
    missing = [name for name in MENTIONED.findall(at.prose) if not (ROOT / name).exists()]
    assert missing == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [page("README.md")]
    while waiting:
        at = waiting.pop()
        if at.name not in reached:
            reached.add(at.name)
            found = [(at.path.parent / link.partition("#")[0]).resolve() for link in at.links()]
            waiting += [Page(path) for path in found if path.suffix == ".md"]
    assert reached == {at.name for at in pages()}


def test_the_list_of_decisions_names_each_by_its_number_and_title() -> None:
    listed = re.findall(r"\[(\d{4})\]\((\d{4})-[a-z0-9-]+\.md\) \| (.+) \|", page("docs/decisions/README.md").text)
    assert [number for number, _, _ in listed] == [f"{place:04}" for place in range(1, len(DECISIONS) + 1)]
    assert all(number == target for number, target, _ in listed)


@pytest.mark.parametrize("at", DECISIONS, ids=lambda at: at.name)
def test_a_decision_has_its_number_in_the_title_and_says_what_was_chosen_and_what_it_costs(at: Page) -> None:
    assert at.text.startswith(f"# {at.path.stem[:4]} ")
    assert "**Chosen.**" in at.text
    assert "**What it costs.**" in at.text


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [("Backup and restore", "backup-and-restore"), ("What is `user_seq`?", "what-is-user_seq"), ("A, b", "a-b")],
)
def test_anchors_are_made_as_github_makes_them(heading: str, anchor: str) -> None:
    assert anchor_of(heading) == anchor
