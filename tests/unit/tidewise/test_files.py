"""Columns named on the command line."""

from pathlib import Path

import pytest

from core.errors import InvalidInput
from core.imports.event_rows import HistoryColumns
from tidewise.files import event_columns, item_columns, opened


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


def test_an_unreadable_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nowhere\.csv: cannot be read"), opened(tmp_path / "nowhere.csv", None):
        pass
