"""User import: columns become attributes, bad lines are kept aside, erased users stay erased."""

from __future__ import annotations

from typing import Any

import pytest
from domain_doubles import NOW_MS, SHAPE, TYPES, event, ingestor
from doubles import MemoryStore
from file_doubles import rows_of

from core.clock import ManualClock
from core.corrections.erase import erase_user
from core.errors import InvalidInput
from core.export import export_users
from core.imports.event_import import BrokenImport
from core.imports.known_rows import KnownRowsReport
from core.imports.user_import import UserColumns, import_users
from core.ingestion.derivation import Derivation
from core.ingestion.sources import RequestSource


def take(store: MemoryStore, content: str, name: str = "users.csv", **options: Any) -> KnownRowsReport:
    return import_users(rows_of(name, content), store, **({"columns": UserColumns(), "now_ms": 1} | options))


def stored(store: MemoryStore) -> dict[str, Any]:
    with store.read() as read:
        return {record["user_id"]: record["attributes"] for record in export_users(read)}


def test_all_other_columns_are_attributes() -> None:
    store = MemoryStore()
    report = take(store, "user_id,country,plan\nann, de ,premium\nbob,fr,\n")
    assert (report.num_rows, report.num_accepted, report.num_bad) == (2, 2, 0)
    assert stored(store) == {"ann": {"country": "de", "plan": "premium"}, "bob": {"country": "fr"}}


def test_columns_are_chosen_by_name() -> None:
    store = MemoryStore()
    take(store, "id,country,plan\nann,de,premium\n", columns=UserColumns("id", ("plan",)))
    assert stored(store) == {"ann": {"plan": "premium"}}


def test_a_column_that_the_file_lacks_is_named() -> None:
    with pytest.raises(InvalidInput, match="has no column 'age'; its columns are 'user_id', 'country'"):
        take(MemoryStore(), "user_id,country\nann,de\n", columns=UserColumns("user_id", ("age",)))


def test_an_export_gives_its_attributes_back() -> None:
    store = MemoryStore()
    take(store, '{"user_id": "ann", "user_seq": 3, "items": [], "attributes": {"age": 34, "ok": true}}\n', "u.jsonl")
    take(store, 'user_id,attributes\nbob,"{""age"": 5}"\ncat,\n')
    assert stored(store) == {"ann": {"age": 34, "ok": True}, "bob": {"age": 5}, "cat": {}}


def test_rows_replace_attributes_or_keep_those_that_they_do_not_name() -> None:
    store = MemoryStore()
    take(store, "user_id,country,plan\nann,de,premium\n")
    take(store, "user_id,country\nann,fr\n", keep_attributes=True)
    assert stored(store) == {"ann": {"country": "fr", "plan": "premium"}}
    take(store, "user_id,country\nann,it\n")
    assert stored(store) == {"ann": {"country": "it"}}


def test_bad_lines_become_dead_letters() -> None:
    store = MemoryStore()
    report = take(store, "user_id,plan\nann,x\n,y\n")
    assert [(bad.line, bad.reason[:8]) for bad in report.bad_lines] == [(3, "user_id:")]
    with store.read() as read:
        assert read.totals().dead_letters == 1


def test_a_file_of_which_most_rows_are_bad_stores_nothing() -> None:
    store = MemoryStore()
    with pytest.raises(BrokenImport, match="nothing was stored"):
        take(store, "user_id,plan\n,x\n,y\n")
    assert stored(store) == {}


def test_an_erased_user_comes_back_by_events_but_not_by_a_file() -> None:
    store, content = MemoryStore(), "user_id,plan\nann,x\nbob,y\n"
    take(store, content)
    erase_user(store, "ann", clock=ManualClock(NOW_MS), derivation=Derivation(TYPES, SHAPE))
    report = take(store, content)
    assert (report.num_duplicates, report.num_erased) == (1, 1)
    assert stored(store) == {"bob": {"plan": "y"}}
    ingestor(store).ingest([event("ann", "a", 60)], RequestSource("api"))
    take(store, content)
    assert stored(store)["ann"] == {"plan": "x"}


def test_a_file_of_events_is_refused() -> None:
    store = MemoryStore()
    with pytest.raises(InvalidInput, match=r"one row for each user, got 3 rows of 1 users; if .* with --events"):
        take(store, "user_id,item_id\nann,a\nann,b\nann,c\n")
    assert stored(store) == {}


def test_known_users_are_changed_or_duplicates_not_new() -> None:
    store = MemoryStore()
    ingestor(store).ingest([event("cid", "tea")], RequestSource("api"))
    first = take(store, "user_id,plan\nann,x\nbob,y\n")
    assert (first.num_accepted, first.num_changed, first.num_duplicates) == (2, 0, 0)
    again = take(store, "user_id,plan\nann,x\nbob,z\ncid,x\ndan,y\n")
    assert (again.num_accepted, again.num_changed, again.num_duplicates) == (3, 2, 1)
