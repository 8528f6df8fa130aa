"""`tidewise drift compare` on a shop whose interests move: for people, machines and spreadsheets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from integration.test_scenarios_command import run
from services.small_shop import settings_in

from core.catalogue.items import Item
from core.clock import DAY_MS, HOUR_MS
from core.errors import InvalidInput, NotFound
from core.events.interactions import Interaction
from core.ingestion.sources import RequestSource
from core.manage import save_items
from tidewise.bootstrap import open_system

NOW_MS = 1_700_000_000_000 // DAY_MS * DAY_MS
COUNTRIES = ("DE", "AT")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two weeks of hourly events by 40 users in two countries; in the second week everybody buys twice as much tea."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "tidewise.toml").write_text('[interest]\nsegments = "event.country"\n')
    with open_system(settings_in(folder)) as system:
        save_items(system.store, [Item("pot", categories=("Tea",)), Item("tent", categories=("Tents",))])
        system.ingestor.ingest([_event(hour, n) for hour in range(14 * 24) for n in range(6)], RequestSource("api"))
    return folder


def _event(hour: int, number: int) -> Interaction:
    tea = number < (2 if hour < 7 * 24 else 4)
    context = {"country": COUNTRIES[number % 2]}
    user_id, time_ms = f"u{(6 * hour + number) % 40}", NOW_MS - 14 * DAY_MS + hour * HOUR_MS
    return Interaction(f"{hour}/{number}", user_id, "pot" if tea else "tent", "click", time_ms, context=context)


def test_a_person_reads_what_has_changed(folder: Path) -> None:
    text = run(folder, "drift", "compare", "--until", str(NOW_MS))
    assert "Tea rose from 33.3% to 66.7% of all events (+33.3 points, 95%:" in text.replace("\n", " ")
    assert "Tents fell from 66.7% to 33.3%" in text


def test_a_machine_reads_the_segments_side_by_side(folder: Path) -> None:
    report = run(folder, "drift", "compare", "--until", str(NOW_MS), "--json")
    assert report["period"]["events"] == report["reference"]["events"] == 6 * 7 * 24
    shares = {part["name"]: part["share"]["share"] for part in report["segments"]}
    assert shares == {
        "event.country=AT": 0.5,
        "event.country=DE": 0.5,
        "user=returning": pytest.approx(1, abs=0.5),
        "user=new": pytest.approx(0, abs=0.5),
    }


def test_a_spreadsheet_gets_the_events_of_one_user(folder: Path) -> None:
    path = folder / "u1.csv"
    report = run(folder, "drift", "compare", "--until", str(NOW_MS), "--user", "u1", "--csv", str(path), "--json")
    _, *rows = path.read_text().splitlines()
    num_rows = sum(int(row.rpartition(",")[2]) for row in rows)
    assert num_rows == report["period"]["events"] + report["reference"]["events"] > 40
    with pytest.raises(NotFound, match="user 'zoe' is not known"):
        run(folder, "drift", "compare", "--user", "zoe")


def test_a_colleague_gets_one_page_without_other_files(folder: Path) -> None:
    path = folder / "report.html"
    run(folder, "drift", "report", "--until", str(NOW_MS), "--out", str(path))
    page = path.read_text()
    assert "<li>Tea rose from 33.3% to 66.7% of all events" in page
    assert page.count("<svg") == 2  # shares over time, what moved most; without a monitor there are no signals
    assert "country DE" in page
    assert not re.search(r"(src|href)=[\"']?(?!#)[a-z]", page.replace("xlink:href", ""))


def test_a_rebuild_counts_what_was_counted_live(folder: Path) -> None:
    before = run(folder, "drift", "compare", "--since", str(NOW_MS - 30 * DAY_MS), "--json")
    run(folder, "rebuild")
    assert run(folder, "drift", "compare", "--since", str(NOW_MS - 30 * DAY_MS), "--json") == before


@pytest.mark.parametrize("words", [("report", "--out"), ("compare", "--csv")])
def test_a_file_in_a_missing_folder_is_refused(folder: Path, words: tuple[str, str]) -> None:
    with pytest.raises(InvalidInput, match=r"r\.txt: cannot be written \(no such folder\)"):
        run(folder, "drift", *words, str(folder / "nodir" / "r.txt"))


def test_a_period_that_ends_before_it_begins_is_told_as_given(folder: Path) -> None:
    message = "since: wanted a time before the end of the period, '2011-11-01', got '2011-12-01'"
    with pytest.raises(InvalidInput, match=message):
        run(folder, "drift", "compare", "--since", "2011-12-01", "--until", "2011-11-01")
