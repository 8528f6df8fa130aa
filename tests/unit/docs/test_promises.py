"""The promises of README and results: their tests exist, and both pages give the same figures."""

from __future__ import annotations

import re

import pytest
from pages import ROOT, page

NUMBER = re.compile(r"\d[\d,.]*\d|\d")


def promises(name: str) -> list[list[str]]:
    """The cells of each row of a page's table of promises."""
    table = page(name).text.split("| Promise", 1)[1].split("\n\n", 1)[0]
    return [re.split(r" *\| *", line.strip("| ")) for line in table.splitlines()[2:]]


RESULTS, README = promises("docs/results.md"), promises("README.md")


@pytest.mark.parametrize("row", [*RESULTS, *README], ids=lambda row: row[0][:60])
def test_a_promise_names_a_test_that_exists(row: list[str]) -> None:
    _, test, figure = row
    assert figure
    paths = re.findall(r"`(tests/\S+)`", test)
    assert paths or re.search(r"`(make|python -m) |the two above", test)
    assert all((ROOT / path).is_file() for path in paths)


@pytest.mark.parametrize("row", README, ids=lambda row: row[0][:60])
def test_the_readme_gives_figures_of_the_results(row: list[str]) -> None:
    numbers = set(NUMBER.findall(row[2]))
    assert numbers
    assert any(numbers <= set(NUMBER.findall(figure)) for _, _, figure in RESULTS)
