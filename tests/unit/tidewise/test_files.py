"""Columns named on the command line."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from core.errors import InvalidInput
from core.imports.event_rows import HistoryColumns
from core.imports.rows import FileFormat
from tidewise.files import event_columns, guess_time_unit, item_columns, time_zone, type_names


def test_event_columns_are_in_order_and_may_be_omitted() -> None:
    assert event_columns("u, i ,t") == HistoryColumns("u", "i", "t")
    assert event_columns("u,i,t,,price") == HistoryColumns("u", "i", "t", value="price")


@pytest.mark.parametrize("text", ["", "u,i", "u,,t", "u,i,t,k,v,e,more"])
def test_invalid_event_columns_are_errors(text: str) -> None:
    with pytest.raises(InvalidInput, match="wanted USER,ITEM,TIME"):
        event_columns(text)


def test_item_columns_join_texts_and_keep_attributes() -> None:
    columns = item_columns(
        "item_id=sku,title=name,text=plot+cast,categories=genre", attributes="year, maker", separator=";"
    )
    assert (columns.item_id, columns.title, columns.text) == ("sku", "name", ("plot", "cast"))
    assert (columns.categories, columns.attributes, columns.separator) == ("genre", ("year", "maker"), ";")


@pytest.mark.parametrize("text", ["title", "colour=red", "title="])
def test_invalid_item_columns_are_errors(text: str) -> None:
    with pytest.raises(InvalidInput, match="wanted FIELD=COLUMN"):
        item_columns(text, attributes="", separator="|")


@pytest.mark.parametrize(
    ("time", "unit"),
    [
        ("1700000000", "s"),
        ("1700000000123", "ms"),
        ("1700000000123456", "us"),
        ("1700000000123456789", "ns"),
        ("2022-06-24 21:20:11", "ms"),
    ],
)
def test_the_unit_of_times_is_found_by_their_size(tmp_path: Path, time: str, unit: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text(f"user,time\nann,\nbob,{time}\n")
    assert guess_time_unit(path, FileFormat(), "time") == unit


def test_event_types_and_zones_are_parsed() -> None:
    assert type_names("Click=click, addtocart=cart") == {"Click": "click", "addtocart": "cart"}
    assert time_zone("Europe/Berlin") == ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("text", ["Click", "=click", "Click="])
def test_invalid_event_types_are_errors(text: str) -> None:
    with pytest.raises(InvalidInput, match="--types: wanted FOREIGN=OURS"):
        type_names(text)


def test_an_unknown_zone_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="--time-zone: unknown zone 'Mars/Base'"):
        time_zone("Mars/Base")
