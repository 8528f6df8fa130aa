"""Presets: the columns of well-known files."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import InvalidInput
from core.imports.event_rows import HistoryColumns
from core.imports.item_import import ItemColumns
from core.imports.rows import FileFormat
from tidewise.commands.files.presets import preset_format, preset_of

EVENTS = {
    "movielens": [
        ("ratings.csv", "userId,movieId,rating,timestamp\n", ("userId", "movieId", "timestamp", None, "rating")),
        ("ratings.dat", "1::1193::5::978300760\n", ("1", "2", "4", None, "3")),
        ("u.data", "196\t242\t3\t881250949\n", ("1", "2", "4", None, "3")),
    ],
    "personalize": [
        ("events.csv", "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE\n", ("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE")),
    ],
    "gorse": [
        (
            "feedback.csv",
            "feedback_type,user_id,item_id,time_stamp\n",
            ("user_id", "item_id", "time_stamp", "feedback_type"),
        ),
        (
            "feedback.jsonl",
            '{"FeedbackType":"","UserId":"","ItemId":"","Timestamp":""}\n',
            ("UserId", "ItemId", "Timestamp", "FeedbackType"),
        ),
    ],
    "retailrocket": [
        (
            "events.csv",
            "timestamp,visitorid,event,itemid,transactionid\n",
            ("visitorid", "itemid", "timestamp", "event"),
        ),
    ],
}
CASES = [(preset, *case) for preset, cases in EVENTS.items() for case in cases]


@pytest.mark.parametrize(("preset", "name", "first_line", "columns"), CASES, ids=lambda value: str(value)[:12])
def test_the_columns_of_events_are_known(
    tmp_path: Path, preset: str, name: str, first_line: str, columns: tuple[str | None, ...]
) -> None:
    path = tmp_path / name
    path.write_text(first_line)
    expected = HistoryColumns(*columns)  # type: ignore[arg-type]
    assert preset_of(preset).columns_of(path, preset_format(path, FileFormat())) == expected


def test_the_columns_of_items_are_known_without_those_that_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("item_id,is_hidden,categories\n")
    assert preset_of("gorse").item_columns_of(path, FileFormat()) == ItemColumns("item_id", categories="categories")


def test_other_columns_than_those_of_the_preset_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("user,movie\n")
    with pytest.raises(
        InvalidInput, match=r"wanted the columns userId, movieId, timestamp for this preset, got user, mov"
    ):
        preset_of("movielens").columns_of(path, FileFormat())


def test_an_unknown_preset_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(
        InvalidInput, match="--preset: wanted one of tidewise, movielens, personalize, gorse, retailrocket"
    ):
        preset_of("netflix")
