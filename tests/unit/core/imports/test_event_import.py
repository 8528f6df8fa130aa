"""History import: every good row becomes one event, whatever else is in the file and however often it is run."""

from __future__ import annotations

import gc
import gzip
import json
from dataclasses import replace
from datetime import UTC, date
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from doubles import MemoryStore
from file_doubles import rows_of
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidEvent, InvalidInput, InvalidSettings
from core.events.history import WindowShape
from core.events.interactions import EventTypes, Interaction
from core.imports.event_import import BrokenImport, ImportReport, import_history, read_history
from core.imports.event_rows import HistoryColumns, RowRules
from core.ingestion.ingest import Ingestor

HEADER = "user_id,item_id,time\n"
NOW_MS = 1_800_000_000_000
ALL = HistoryColumns(type="kind", value="stars", event_id="id")
RULES: dict[str, Any] = {
    "columns": HistoryColumns(),
    "time_unit": "s",
    "types": EventTypes(),
    "default_type": "view",
    "latest_ms": NOW_MS + 60_000,
    "zone": UTC,
    "type_names": {},
}


class Shop:
    """A store in memory, and what an import left in it."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.ingestor = Ingestor(self.store, types=EventTypes(), shape=WindowShape())

    def take(self, content: bytes | str, name: str = "log.csv", **options: Any) -> ImportReport:
        rules = _rules(options)
        return import_history(
            rows_of(name, content), self.ingestor, rules=rules, now_ms=NOW_MS, store=self.store, **options
        )

    def events(self) -> list[tuple[str, str, str, int, float | None]]:
        """(user, item, type, time in ms, value) in the order of their sequence numbers per user."""
        with self.store.read() as read:
            data = read.data
        users = {state.key: user_id for user_id, state in data.users.items()}
        items = {stored.key: item_id for item_id, stored in data.items.items()}
        names = [kind.name for kind in EventTypes().table]
        rows = sorted(data.events.values(), key=lambda row: (users[row.user_key], row.user_seq))
        return [(users[r.user_key], items[r.item_key], names[r.type_code], r.time_ms, r.value) for r in rows]

    def letters(self) -> list[tuple[int, bytes]]:
        with self.store.read() as read:
            return sorted((letter.offset, letter.payload) for letter in read.dead_letters.newest())


def read(content: str, name: str = "log.csv", **options: Any) -> list[Interaction]:
    return list(read_history(rows_of(name, content), rules=_rules(options), **({"on_bad": lambda _: None} | options)))


def _rules(options: dict[str, Any]) -> RowRules:
    """The rules, with what a test says of them taken out of its options."""
    return RowRules(**{name: options.pop(name, default) for name, default in RULES.items()})


def test_each_row_becomes_an_event() -> None:
    shop = Shop()
    report = shop.take(HEADER + "ann,x,1700000000\nbob,y,1700000001\n")
    assert (report.num_rows, report.num_accepted, report.num_bad) == (2, 2, 0)
    assert shop.events() == [
        ("ann", "x", "view", 1_700_000_000_000, None),
        ("bob", "y", "view", 1_700_000_001_000, None),
    ]


def test_type_value_and_event_id_may_have_columns() -> None:
    shop = Shop()
    shop.take(HEADER.strip() + ",kind,stars,id\nann,x,1700000000,rating,4.5,e1\nann,y,1700000000,,,e2\n", columns=ALL)
    assert [(item, kind, value) for _, item, kind, _, value in shop.events()] == [
        ("x", "rating", 4.5),
        ("y", "view", None),
    ]


@pytest.mark.parametrize(
    ("unit", "text", "time_ms"),
    [
        ("s", "1700000000", 1_700_000_000_000),
        ("s", "1700000000.25", 1_700_000_000_250),
        ("s", "1.7e9", 1_700_000_000_000),
        ("ms", "1700000000123", 1_700_000_000_123),
        ("us", "1700000000123999", 1_700_000_000_123),
        ("s", " 1700000000 ", 1_700_000_000_000),
        ("ns", "1700000000123999999", 1_700_000_000_123),
        ("s", "2022-06-24 21:20:11", 1_656_105_611_000),
        ("s", "2022-06-24T21:20:11.5Z", 1_656_105_611_500),
        ("s", "2022-06-24T21:20:11+02:00", 1_656_098_411_000),
        ("s", "2022-06-24 21:20:11 UTC", 1_656_105_611_000),
        ("s", "2022-06-24", 1_656_028_800_000),
    ],
)
def test_times_are_taken_in_the_unit_given(unit: str, text: str, time_ms: int) -> None:
    assert [event.time_ms for event in read(f"{HEADER}ann,x,{text}\n", time_unit=unit)] == [time_ms]


def test_json_lines_may_hold_numbers_as_ids_and_times() -> None:
    row = {"user_id": 7, "item_id": "x", "time": 1700000000.5, "stars": 3, "kind": None, "id": 12}
    event = read(json.dumps(row), "log.jsonl", columns=ALL)[0]
    assert event == Interaction("12", "7", "x", "view", 1_700_000_000_500, 3.0)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",x,1700000000", "user: wanted 1 to 256 bytes of UTF-8, got none"),
        ("ann,,1700000000", "item: wanted 1 to 256 bytes"),
        ("a" * 10_000 + ",x,1700000000", "user: wanted 1 to 256 bytes of UTF-8, got 10000 bytes"),
        ("an\x00n,x,1700000000", "user: wanted no control characters"),
        ("ann,x,yesterday", "time: wanted a number or a time as 2022-06-24T21:20:11Z, got 'yesterday'"),
        ("ann,x,", "time: wanted a number or a time as 2022-06-24T21:20:11Z, got ''"),
        ("ann,x,nan", "time: wanted a number or a time as 2022-06-24T21:20:11Z, got 'nan'"),
        ("ann,x,inf", "time: wanted a number or a time as 2022-06-24T21:20:11Z, got 'inf'"),
        ("ann,x,-5", "time: '-5' in the unit 's' is negative"),
        ("ann,x,1700000000000", r"in the unit 's' is in the future; is it a smaller unit \(--time-unit ms"),
        ("ann,x,1800000061", "is in the future"),
        ("ann,x,1e300", "is in the future"),
        ("ann", "has 1 values where the header names 3 columns"),
    ],
)
def test_bad_row_becomes_a_dead_letter_with_its_line_number(row: str, reason: str) -> None:
    shop = Shop()
    report = shop.take(f"{HEADER}ann,x,1700000000\n{row}\nbob,y,1700000001\n")
    assert (report.num_rows, report.num_accepted, report.num_bad) == (3, 2, 1)
    (bad,) = report.bad_lines
    assert (bad.line, bad.raw) == (3, row.encode())
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(bad.reason)
    assert shop.letters() == [(3, row.encode())]


def test_seconds_read_as_milliseconds_are_rejected() -> None:
    report = Shop().take(f"{HEADER}ann,x,1700000000\nann,x,1700000000000\n", time_unit="ms")
    assert report.bad_lines[0].reason.endswith("is before 1973; is it a larger unit (--time-unit s)?")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"kind": "glance"}, "type: unknown event type 'glance'; known types are"),
        ({"kind": ["view"]}, "type: unknown event type"),
        ({"stars": "many"}, "value: wanted a number, got 'many'"),
        ({"stars": "nan"}, "value: wanted a number"),
        ({"stars": True}, "value: wanted a number"),
        ({"id": ""}, "event_id: wanted 1 to 256 bytes"),
        ({"id": None}, "event_id: wanted a string"),
        ({"user_id": None}, "user: wanted a string"),
        ({"user_id": True}, "user: wanted a string"),
        ({"item_id": {"a": 1}}, "item: wanted a string, got {'a': 1}; name the value in it (--columns with item_id.a)"),
        ({"time": True}, "time: wanted a number"),
        ({"time": None}, "time: wanted a number"),
        ({"time": [1]}, "time: wanted a number"),
    ],
)
def test_wrong_types_in_json_are_bad_rows(row: dict[str, object], reason: str) -> None:
    good = {"user_id": "ann", "item_id": "x", "time": 1700000000, "kind": "view", "stars": 1, "id": "e1"}
    report = Shop().take("\n".join(map(json.dumps, [good, good | row])), "log.jsonl", columns=ALL)
    assert (report.num_accepted, report.num_bad) == (1, 1)
    assert report.bad_lines[0].reason.startswith(reason)


def test_only_the_first_bad_lines_are_shown_but_all_are_kept() -> None:
    shop = Shop()
    report = shop.take(HEADER + "bad\n" * 150 + "ann,x,1700000000\n")
    assert (report.num_bad, len(report.bad_lines)) == (150, 20)
    with shop.store.read() as read:
        assert read.totals().dead_letters == 150


@pytest.mark.parametrize("batch_rows", [1, 2, 3, 1000])
def test_ties_keep_the_order_of_the_file(batch_rows: int) -> None:
    items = ["c", "a", "d", "b", "a"]
    shop = Shop()
    shop.take(HEADER + "".join(f"ann,{item},1700000000\n" for item in items), batch_rows=batch_rows)
    assert [event[1] for event in shop.events()] == items
    with shop.store.read() as read:
        state = read.users.find("ann")
        assert state is not None
        names = {stored.key: item_id for item_id, stored in read.items.by_id(items).items()}
    assert [names[key] for key in state.window.history.items.tolist()] == items


def test_a_second_run_changes_nothing() -> None:
    shop = Shop()
    content = HEADER + "ann,x,1700000000\n" * 3 + "bob,y,1700000001\nbad\n"
    first = shop.take(content)
    before = (shop.events(), shop.letters())
    second = shop.take(content)
    assert (first.num_accepted, second.num_accepted, second.num_duplicates) == (4, 0, 4)
    assert (shop.events(), shop.letters()) == before


def test_true_repeats_survive_also_across_batches() -> None:
    shop = Shop()
    assert shop.take(HEADER + "ann,x,1700000000\n" * 5, batch_rows=2).num_accepted == 5


def test_compressing_moving_or_appending_to_a_file_is_safe() -> None:
    shop = Shop()
    content = HEADER + "ann,x,1700000000\n" * 2
    shop.take(content)
    shop.take(gzip.compress(content.encode()), "backup/log.csv.gz")
    report = shop.take(content + "ann,x,1700000000\n", "D:\\logs\\log.csv")
    assert (report.num_accepted, report.num_duplicates) == (1, 2)


def test_the_same_rows_in_another_file_are_other_events() -> None:
    shop = Shop()
    for name, first in (("monday.csv", "bob"), ("tuesday.csv", "cid")):
        assert shop.take(f"{HEADER}{first},x,1700000000\nann,x,1700000000\n", name).num_accepted == 2


@pytest.mark.parametrize("num", [1, 999, 1500])
def test_a_file_imported_before_is_known_by_its_rows_under_any_name(num: int) -> None:
    shop, content = Shop(), HEADER + "".join(f"ann,i{number},1700000000\n" for number in range(num))
    shop.take(content, "ratings.csv")
    for name in ("ratings (1).csv", "ratings (2).csv"):
        content += "bob,x,1700000000\n"
        report = shop.take(content, name)
        assert (report.num_accepted, report.known_as) == (1, "ratings.csv")


def test_the_ids_of_rows_are_those_of_earlier_versions() -> None:
    events = read(HEADER + "ann,x,1700000000\n" * 2, "D:\\logs\\log.csv.gz")
    assert [event.event_id for event in events] == [
        "f:e28b0af4ef6729b71c3f5191d85cea86:0",
        "f:e28b0af4ef6729b71c3f5191d85cea86:1",
    ]


def test_blanks_around_values_are_trimmed() -> None:
    event = read("user_id, item_id, time, kind, stars, id\nu 1 , i1, 1700000000, rating , 4 , e1\n", columns=ALL)[0]
    assert event == Interaction("e1", "u 1", "i1", "rating", 1_700_000_000_000, 4.0)


def test_local_times_are_read_in_the_zone_given() -> None:
    events = read(HEADER + "ann,x,2022-06-24 21:20:11\nann,y,2022-06-24T21:20:11Z\n", zone=ZoneInfo("Europe/Berlin"))
    assert [event.time_ms for event in events] == [1_656_098_411_000, 1_656_105_611_000]


@given(st.one_of(st.dates(), st.datetimes(timezones=st.none() | st.just(UTC))))
def test_dates_and_times_of_tables_are_read_as_their_texts_are(moment: date) -> None:
    rules = RowRules(**RULES | {"zone": ZoneInfo("Europe/Berlin")})
    assert rules.time_ms(moment) == rules.time_ms(moment.isoformat())


def test_foreign_event_types_are_mapped() -> None:
    content = "user_id,item_id,time,kind\nann,x,1700000000,addtocart\nann,x,1700000000, Click\nann,x,1700000000,view\n"
    events = read(content, columns=HistoryColumns(type="kind"), type_names={"addtocart": "cart", "Click": "click"})
    assert [event.type for event in events] == ["cart", "click", "view"]


def test_an_unknown_type_names_the_option_that_maps_it() -> None:
    content = "user_id,item_id,time,kind\nann,x,1700000000,view\nann,x,1700000000,Click\n"
    report = Shop().take(content, columns=HistoryColumns(type="kind"))
    assert report.bad_lines[0].reason.endswith("; map it (--types Click=click)")


@pytest.mark.parametrize(("num_bad", "num_good"), [(1, 0), (1001, 500), (200_000, 0)])
def test_a_file_of_bad_rows_is_refused_and_nothing_is_stored(num_bad: int, num_good: int) -> None:
    shop = Shop()
    with pytest.raises(BrokenImport, match=r"rows are bad; nothing was stored; line 2: .*--dry-run") as error:
        shop.take(HEADER + "ann,x,yesterday\n" * num_bad + "ann,x,1700000000\n" * num_good)
    assert (shop.events(), shop.letters(), error.value.report.num_bad > 0) == ([], [], True)


def test_a_file_that_turns_bad_is_stopped_with_what_was_stored() -> None:
    shop = Shop()
    with pytest.raises(BrokenImport, match="because 1,011 of the first 2,000 rows are bad; line 991: has 1"):
        shop.take(HEADER + "ann,x,1700000000\n" * 989 + "bad\n" * 5000, batch_rows=1000)
    assert len(shop.events()) == 989


def test_event_ids_of_the_file_decide_where_it_has_them() -> None:
    shop = Shop()
    columns = HistoryColumns(event_id="id")
    content = "id," + HEADER + "e1,ann,x,1700000000\ne1,ann,x,1700000000\ne2,ann,x,1700000000\n"
    report = shop.take(content, columns=columns)
    assert (report.num_accepted, report.num_duplicates) == (2, 1)


def test_events_from_a_time_on_are_left_out_on_request() -> None:
    shop = Shop()
    rows = HEADER + "ann,x,1700000000\nann,y,1700000001\nann,z,1700000002\n"
    report = shop.take(rows, before_ms=1_700_000_001_000)
    assert (report.num_rows, report.num_accepted, report.num_later) == (3, 1, 2)
    assert [event[1] for event in shop.events()] == ["x"]
    assert shop.take(rows).num_accepted == 2


def test_events_of_an_erased_user_are_counted_apart() -> None:
    shop = Shop()
    content = HEADER + "ann,x,1700000000\n"
    shop.take(content)
    with shop.store.transaction() as tx:
        tx.users.erase("ann", now_ms=NOW_MS)
        tx.commit()
    assert replace(shop.take(content), bad_lines=[]) == ImportReport(num_rows=1, num_erased=1)


def test_an_unknown_column_is_refused_before_anything_is_applied() -> None:
    shop = Shop()
    with pytest.raises(InvalidInput, match=r"has no column 'uid'; its columns are 'user_id', 'item_id', 'time'"):
        shop.take(HEADER + "ann,x,1700000000\n", columns=HistoryColumns(user="uid"))
    assert shop.events() == []


def test_an_unknown_optional_column_of_a_table_is_refused_too() -> None:
    with pytest.raises(InvalidInput, match="has no column 'stars'"):
        Shop().take(HEADER, columns=HistoryColumns(value="stars"))


def test_an_unknown_time_unit_or_default_type_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="--time-unit: wanted one of s, ms, us, ns, got 'min'"):
        Shop().take(HEADER, time_unit="min")
    with pytest.raises(InvalidEvent, match="unknown event type 'glance'"):
        Shop().take(HEADER, default_type="glance")


def test_truncated_gzip_is_applied_up_to_its_end_and_completed_later() -> None:
    shop = Shop()
    content = HEADER + "".join(f"user{n * 7919},item{n * 104729},{1700000000 + n}\n" for n in range(3000))
    packed = gzip.compress(content.encode())
    with pytest.raises(BrokenImport, match="truncated after line") as error:
        shop.take(packed[: len(packed) // 2], "log.csv.gz")
    num_first = error.value.report.num_accepted
    assert 0 < num_first < 3000
    assert len(shop.events()) == num_first
    assert shop.take(packed, "log.csv.gz").num_accepted == 3000 - num_first


def test_progress_ends_at_the_size_of_the_file() -> None:
    seen: list[tuple[int, int | None]] = []
    content = HEADER + "ann,x,1700000000\n" * 10
    Shop().take(content, batch_rows=4, progress=lambda read, total: seen.append((read, total)))
    assert seen[-1] == (len(content), len(content))
    assert len(seen) == 3


def test_reading_without_applying_names_events_as_an_import_would() -> None:
    shop = Shop()
    content = HEADER + "ann,x,1700000000\n" * 2
    shop.take(content)
    with shop.store.read() as stored:
        assert {event.event_key for event in read(content)} == set(stored.data.events)


def test_garbage_is_collected_while_events_that_were_read_are_used() -> None:
    reader = rows_of("log.csv", HEADER + "ann,x,1700000000\n")
    events = read_history(reader, rules=_rules({}), on_bad=print)
    assert [gc.isenabled() for _ in events] == [True]


def test_reading_hands_over_bad_lines() -> None:
    bad: list[int] = []
    events = read(HEADER + "bad\nann,x,1700000000\n", on_bad=lambda lines: bad.extend(line.line for line in lines))
    assert (len(events), bad) == (1, [2])


def test_no_file_makes_the_remembered_ids_grow_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.imports.event_rows.MAX_CACHED_IDS", 10)
    rows = "".join(f"user{n},item{n},1700000000\n" for n in range(100))
    assert len(read(HEADER + rows, batch_rows=7)) == 100


rows_of_ints = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), max_size=30)


@given(rows_of_ints, st.integers(1, 8), st.integers(0, 30))
def test_however_a_growing_file_is_imported_the_events_are_its_rows(
    rows: list[tuple[int, int, int]], batch_rows: int, first_part: int
) -> None:
    shop = Shop()
    lines = [f"u{user},i{item},{1700000000 + time}\n" for user, item, time in rows]
    for part in (lines[:first_part], lines):
        shop.take(HEADER + "".join(part), batch_rows=batch_rows)
    expected = sorted(lines)
    assert sorted(f"{u},{i},{time_ms // 1000}\n" for u, i, _, time_ms, _ in shop.events()) == expected
