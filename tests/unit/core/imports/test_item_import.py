"""Item import: columns become fields, bad lines are kept aside."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from domain_doubles import NOW_MS
from doubles import MemoryStore
from file_doubles import rows_of

from core.catalogue.availability import Availability
from core.catalogue.items import Item
from core.errors import InvalidInput
from core.imports.event_import import BrokenImport
from core.imports.item_import import ItemColumns, import_items, read_items
from core.imports.known_rows import KnownRowsReport
from core.imports.rows import BadLine

COLUMNS = ItemColumns("id", title="name", text=("plot", "cast"), categories="genres", attributes=("year", "mood"))


def take(store: MemoryStore, content: str | bytes, name: str = "items.csv", **options: Any) -> KnownRowsReport:
    return import_items(rows_of(name, content), store, **({"columns": COLUMNS, "now_ms": 1} | options))


def stored(store: MemoryStore) -> list[Item]:
    with store.read() as read:
        return [row.item for row in read.items.page()]


def test_columns_become_fields() -> None:
    store = MemoryStore()
    report = take(store, 'id,name,plot,cast,genres,year,mood\n1,"A, B","two\nlines",Tom,x| y |,1995,\n')
    assert (report.num_rows, report.num_accepted) == (1, 1)
    assert stored(store) == [Item("1", "A, B", "two\nlines\nTom", ("x", "y"), {"year": "1995"})]


def test_an_id_alone_is_enough() -> None:
    store = MemoryStore()
    take(store, "item_id,title\n1,A\n", columns=ItemColumns())
    assert stored(store) == [Item("1")]


def test_one_column_may_serve_twice() -> None:
    store = MemoryStore()
    take(store, "item_id,title\n1,A\n", columns=ItemColumns(title="title", attributes=("title",)))
    assert stored(store) == [Item("1", "A", attributes={"title": "A"})]


def test_the_separator_of_categories_is_free() -> None:
    store = MemoryStore()
    take(store, "item_id,tags\n1,x;y\n", columns=ItemColumns(categories="tags", separator=";"))
    assert stored(store)[0].categories == ("x", "y")


def test_json_lines_keep_lists_and_numbers() -> None:
    store = MemoryStore()
    row = {"id": 7, "name": "A", "genres": ["x", "y"], "year": 1995, "plot": None, "mood": True}
    take(store, json.dumps(row), "items.jsonl")
    assert stored(store) == [Item("7", "A", "", ("x", "y"), {"year": 1995, "mood": True})]


def test_bad_lines_are_reported_and_kept_aside_and_the_others_saved() -> None:
    store = MemoryStore()
    rows = [{"id": "1"}, {"id": ""}, {"id": "2", "name": [5]}, {"id": "3", "year": [1]}, {"id": "4"}]
    report = take(store, "\n".join(map(json.dumps, rows)) + "\nnonsense\n", "items.jsonl")
    assert [item.item_id for item in stored(store)] == ["1", "4"]
    assert [bad.line for bad in report.bad_lines] == [2, 3, 4, 6]
    assert (report.num_rows, report.num_accepted, report.num_bad) == (6, 2, 4)
    with store.read() as read:
        assert {letter.offset for letter in read.dead_letters.newest()} == {2, 3, 4, 6}
        assert {letter.source for letter in read.dead_letters.newest()} == {"items.jsonl"}


def test_the_last_of_several_rows_with_one_id_stays() -> None:
    store = MemoryStore()
    take(store, "item_id,title\n1,A\n1,B\n", columns=ItemColumns(title="title"))
    assert [item.title for item in stored(store)] == ["B"]


def test_an_unknown_column_is_refused_before_anything_is_saved() -> None:
    store = MemoryStore()
    with pytest.raises(InvalidInput, match=r"has no column 'plot'; its columns are 'id', 'name'"):
        take(store, "id,name\n1,A\n")
    assert stored(store) == []


def test_a_truncated_gzip_is_saved_as_far_as_it_goes() -> None:
    store = MemoryStore()
    packed = gzip.compress(("item_id\n" + "".join(f"item{n * 104729}\n" for n in range(5000))).encode())
    with pytest.raises(BrokenImport, match="truncated after line") as error:
        take(store, packed[: len(packed) // 2], columns=ItemColumns())
    assert 0 < error.value.report.num_accepted < 5000


def test_progress_is_told_after_each_batch() -> None:
    seen: list[int] = []
    content = "item_id\n" + "".join(f"{n}\n" for n in range(5))
    take(MemoryStore(), content, columns=ItemColumns(), batch_items=2, progress=lambda read, _: seen.append(read))
    assert seen == [len(content)] * 3


def test_items_can_be_read_without_a_store_as_an_import_would_take_them() -> None:
    content = "id,name,plot,cast,genres,year,mood\n1,A,,,x|y,,\n,no id,,,,,\n2,B,,,,1990,\n"
    store, bad = MemoryStore(), list[BadLine]()
    take(store, content)
    assert list(read_items(rows_of("items.csv", content), columns=COLUMNS, on_bad=bad.extend, batch_items=1)) == stored(
        store
    )
    assert [line.line for line in bad] == [3]


@pytest.mark.parametrize(
    "genres", ["['Action', 'Comedy']", '["Action", "Comedy"]', "[Action, Comedy]", "Action|Comedy "]
)
def test_lists_of_categories_are_read_as_other_programs_write_them(genres: str) -> None:
    store = MemoryStore()
    take(store, f"item_id\tgenres\n1\t{genres}\n", "items.tsv", columns=ItemColumns(categories="genres"))
    assert stored(store)[0].categories == ("Action", "Comedy")


def test_a_number_may_be_a_title_and_blanks_around_are_trimmed() -> None:
    store = MemoryStore()
    rows = [{"item_id": 1, "title": 1984}, {"item_id": " 2 ", "title": " Emma "}]
    take(store, "\n".join(map(json.dumps, rows)), "items.jsonl", columns=ItemColumns(title="title"))
    assert stored(store) == [Item("1", "1984"), Item("2", "Emma")]


def test_long_texts_are_cut_and_counted() -> None:
    store = MemoryStore()
    content = f"item_id,title,plot\n1,A,{'x' * 10_001}\n2,B,short\n"
    report = take(store, content, columns=ItemColumns(title="title", text=("plot",)))
    assert (report.num_accepted, report.num_cut, len(stored(store)[0].text)) == (2, 1, 10_000)


def test_a_file_of_bad_items_is_refused_and_nothing_is_stored() -> None:
    store = MemoryStore()
    with pytest.raises(BrokenImport, match="2 of the first 2 rows are bad"):
        take(store, "item_id\n" + "x" * 300 + "\n" + "y" * 300 + "\n", columns=ItemColumns())
    assert stored(store) == []


def hide(store: MemoryStore, item: Item) -> None:
    with store.transaction() as tx:
        tx.items.save([item], now_ms=1)
        tx.commit()


def test_a_repeated_import_keeps_what_was_hidden_by_hand() -> None:
    store = MemoryStore()
    take(store, "id,name\n1,A\n2,B\n", columns=ItemColumns("id", title="name"))
    hide(store, Item("1", "A", hidden=True))
    take(store, "id,name\n1,New\n2,B\n", columns=ItemColumns("id", title="name"))
    assert stored(store) == [Item("1", "New", hidden=True), Item("2", "B")]


def test_a_file_may_say_what_is_hidden() -> None:
    store = MemoryStore()
    hide(store, Item("1", hidden=True))
    hide(store, Item("3", hidden=True))
    columns = ItemColumns("id", stated={"hidden": "gone"})
    take(store, "id,gone\n1,False\n2,1\n3,\n", columns=columns)
    assert [(item.item_id, item.hidden) for item in stored(store)] == [("1", False), ("2", True), ("3", True)]
    take(store, json.dumps({"id": 1, "gone": True}), "items.jsonl", columns=columns)
    assert stored(store)[0].hidden


def test_a_file_may_state_availability_and_keeps_what_it_does_not_state() -> None:
    store = MemoryStore()
    hide(store, Item("1", availability=Availability(NOW_MS, stock=5)))
    names = {"available_from": "from", "available_until": "until", "stock": "left"}
    content = f"id,from,until,left\n1,,2024-01-01,\n2,{NOW_MS},,0\n3,soon,,\n4,,,many\n"
    report = take(store, content, columns=ItemColumns("id", stated=names))
    assert [(item.item_id, item.availability) for item in stored(store)] == [
        ("1", Availability(NOW_MS, 1_704_067_200_000, 5)),
        ("2", Availability(NOW_MS, stock=0)),
    ]
    assert [bad.reason.partition(":")[0] for bad in report.bad_lines] == ["available_from", "stock"]


def test_another_word_for_hidden_is_refused_by_name() -> None:
    store = MemoryStore()
    report = take(store, "id,gone\n1,perhaps\n2,0\n", columns=ItemColumns("id", stated={"hidden": "gone"}))
    assert [bad.reason for bad in report.bad_lines] == ["hidden: wanted true or false, got 'perhaps'"]


def test_a_removed_item_is_shown_again_by_its_import() -> None:
    store = MemoryStore()
    hide(store, Item("1", "A", hidden=True))
    with store.transaction() as tx:
        tx.items.remove(["1"], now_ms=1)
        tx.commit()
    take(store, "id,name\n1,A\n", columns=ItemColumns("id", title="name"))
    assert stored(store) == [Item("1", "A")]


def test_attributes_that_a_file_does_not_name_go_or_stay_as_wanted() -> None:
    store = MemoryStore()
    columns = ItemColumns("id", attributes=("year",))
    for keep_attributes, attributes in ((True, {"price": 2, "year": "1995"}), (False, {"year": "1995"})):
        hide(store, Item("1", attributes={"price": 2, "year": "1990"}))
        take(store, "id,year\n1,1995\n", columns=columns, keep_attributes=keep_attributes)
        assert stored(store) == [Item("1", attributes=attributes)]


def test_known_items_are_changed_or_duplicates_not_new() -> None:
    store = MemoryStore()
    first = take(store, "id,name\n1,Tea\n2,Pot\n", columns=ItemColumns("id", title="name"))
    assert (first.num_accepted, first.num_changed, first.num_duplicates) == (2, 0, 0)
    again = take(store, "id,name\n1,Tea\n2,Jug\n3,Cup\n3,Mug\n", columns=ItemColumns("id", title="name"))
    assert (again.num_accepted, again.num_changed, again.num_duplicates) == (3, 2, 1)
