"""Interactions: foreign input becomes an event, or a message that says what was wanted, what was got and what to do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidEvent, InvalidSettings
from core.events.interactions import (
    MAX_CONTEXT_CHARS,
    MAX_CONTEXT_ENTRIES,
    EventType,
    EventTypes,
    Interaction,
    check_id,
    check_time_ms,
    parse_interaction,
    shorten,
)

NOW_MS = 1_700_000_000_000
TYPES = EventTypes()
HUGE = 10**5000  # Python refuses to write it out


def parse(**raw: Any) -> Interaction:
    """One event with the given fields beside a user and an item."""
    return parse_raw({"user_id": "ann", "item_id": "tea"} | raw)


def parse_raw(raw: object) -> Interaction:
    return parse_interaction(raw, types=TYPES, now_ms=NOW_MS, max_future_ms=60_000, new_id="from the server")


def refusal(**raw: Any) -> str:
    with pytest.raises(InvalidEvent) as caught:
        parse(**raw)
    message = str(caught.value)
    assert message.partition(": ")[0].strip("'") == caught.value.field
    return message


def outcome(**raw: Any) -> Interaction | str:
    try:
        return parse(**raw)
    except InvalidEvent as error:
        return str(error)


# --- the event as a whole


def test_event_needs_only_a_user_and_an_item() -> None:
    assert parse() == Interaction("from the server", "ann", "tea", "click", NOW_MS)


def test_every_field_given_is_kept() -> None:
    interaction = parse(
        event_id="e1",
        type="rating",
        time=NOW_MS - 5,
        value=4,
        context={"page": "home"},
        recommendation_id="r",
        version=1,
    )
    assert interaction == Interaction("e1", "ann", "tea", "rating", NOW_MS - 5, 4.0, {"page": "home"}, "r")


def test_null_means_not_given_for_every_optional_field() -> None:
    names = ("event_id", "type", "time", "value", "context", "recommendation_id", "version")
    assert parse(**dict.fromkeys(names)) == parse()


@pytest.mark.parametrize("raw", [None, 3, "click", ["user_id"], b"{}"])
def test_what_is_no_object_is_refused(raw: object) -> None:
    with pytest.raises(InvalidEvent, match="event: wanted a JSON object, got "):
        parse_raw(raw)


def test_an_unknown_field_is_refused_by_name_beside_the_known_ones() -> None:
    assert refusal(userid="bob").startswith("'userid': unknown field; known fields are event_id, user_id, item_id")


def test_another_schema_version_is_refused() -> None:
    assert refusal(version=2) == "version: wanted 1, got 2"


def test_an_unknown_type_is_refused_beside_the_known_ones() -> None:
    assert refusal(type="clik").startswith("type: unknown event type 'clik'; known types are view, click, cart")


def test_a_type_that_is_no_name_is_refused() -> None:
    assert "unknown event type ['click']" in refusal(type=["click"])


# --- ids


@pytest.mark.parametrize("field", ["user_id", "item_id", "event_id", "recommendation_id"])
@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("", "wanted 1 to 256 bytes of UTF-8, got none"),
        ("x" * 257, "wanted 1 to 256 bytes of UTF-8, got 257 bytes; shorten or hash the identifier"),
        ("x" * 10_000, "got 10000 bytes"),
        ("é" * 129, "got 258 bytes"),
        ("a\nb", "wanted no control characters"),
        ("a\x7fb", "wanted no control characters"),
        ("a\ud800b", "wanted no control characters"),
        (17, "wanted a string, got 17; send numbers as strings"),
    ],
)
def test_a_bad_id_is_refused_with_the_name_of_its_field(field: str, bad: object, words: str) -> None:
    message = refusal(**{field: bad})
    assert message.startswith(f"{field}: ")
    assert words in message


@pytest.mark.parametrize("missing", ["user_id", "item_id"])
def test_an_event_needs_a_user_and_an_item(missing: str) -> None:
    assert refusal(**{missing: None}).startswith(f"{missing}: wanted a string, got nothing; add it")


@pytest.mark.parametrize("good", ["a", "x" * 256, "é" * 128, "用户-1", "with space", "🛒"])
def test_any_other_text_of_1_to_256_bytes_is_an_id_as_it_is(good: str) -> None:
    assert check_id("user_id", good) is good


@given(st.text(max_size=300))
def test_an_accepted_id_fits_every_database_and_stream(text: str) -> None:
    result = outcome(user_id=text)
    if isinstance(result, Interaction):
        assert result.user_id == text
        assert 1 <= len(result.user_id.encode()) <= 256
        assert "\x00" not in result.user_id


# --- times


def test_integer_milliseconds_are_kept_and_a_whole_float_becomes_them() -> None:
    assert parse(time=NOW_MS).time_ms == NOW_MS
    time_ms = parse(time=float(NOW_MS)).time_ms
    assert (time_ms, type(time_ms)) == (NOW_MS, int)


@pytest.mark.parametrize("text", ["2022-06-24 21:20:11", "2022-06-24T21:20:11Z", "2022-06-24T23:20:11.000+02:00"])
def test_a_time_may_be_an_iso_8601_text(text: str) -> None:
    assert parse(time=text).time_ms == 1_656_105_611_000


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (NOW_MS // 1000, "1700000000 looks like seconds; send milliseconds (multiply by 1000)"),
        (0, "0 looks like seconds"),
        ("1970-01-01", "wanted a time after 1973 and before 5138, got '1970-01-01'"),
        (10**11 - 1, "looks like seconds"),
        (-1, "wanted a time after 1973, got -1"),
        (NOW_MS * 1000, "is too large for milliseconds; divide microseconds by 1000"),
        pytest.param(HUGE, "an integer of 16610 bits is too large for milliseconds", id="huge"),
        (NOW_MS + 0.5, "wanted integer milliseconds since 1970 (UTC) or a time as 2022-06-24T21:20:11Z, got 17000"),
        (float("nan"), "or a time as 2022-06-24T21:20:11Z, got nan"),
        (float("inf"), "wanted integer milliseconds"),
        (True, "or a time as 2022-06-24T21:20:11Z, got True"),
        ("yesterday", "or a time as 2022-06-24T21:20:11Z, got 'yesterday'"),
        ("1700000000000", "or a time as 2022-06-24T21:20:11Z, got '1700000000000'"),
        ("2099-11-14", "in the future"),
        (NOW_MS + 60_001, "1700000060001 is 60 s in the future; correct the sender's clock"),
    ],
)
def test_a_bad_time_is_refused_with_a_guess_at_the_mistake(time: object, words: str) -> None:
    message = refusal(time=time)
    assert message.startswith("time: ")
    assert words in message


def test_a_time_within_the_allowed_future_is_accepted() -> None:
    assert parse(time=NOW_MS + 60_000).time_ms == NOW_MS + 60_000


def test_the_bounds_of_time_are_themselves_times() -> None:
    assert [check_time_ms("t", bound) for bound in (10**11, 10**14)] == [10**11, 10**14]


# --- value and context


@pytest.mark.parametrize(
    "bad",
    [float("nan"), float("inf"), -float("inf"), 1.1e15, -1e308, 10**400, pytest.param(HUGE, id="huge"), True, "4", [4]],
)
def test_a_value_that_is_no_number_or_too_large_to_sum_is_refused(bad: object) -> None:
    assert refusal(value=bad).startswith("value: wanted a number from -1e15 to 1e15, got ")


def test_an_empty_context_is_none_and_a_flat_one_is_kept_as_a_copy() -> None:
    context = {"page": "home", "rank": 3, "share": 0.5, "ad": False, "note": None}
    parsed = parse(context=context).context
    assert parse(context={}).context is None
    assert parsed == context
    assert parsed is not context


@pytest.mark.parametrize(
    "entry", [{"nested": {}}, {"list": []}, {"nan": float("nan")}, {1: "one"}, {"big": 2**63}, {"huge": HUGE}]
)
def test_a_context_holds_text_finite_numbers_of_64_bits_and_booleans_only(entry: object) -> None:
    assert refusal(context=entry).startswith("context: wanted strings, finite numbers or booleans, got ")


@pytest.mark.parametrize("bad", ["home", ["home"], {str(i): i for i in range(MAX_CONTEXT_ENTRIES + 1)}])
def test_a_context_is_a_small_map(bad: object) -> None:
    assert refusal(context=bad).startswith("context: wanted a map of at most 32 entries, got ")


def test_a_context_is_short() -> None:
    longest = {"k": "x" * (MAX_CONTEXT_CHARS - 1)}
    assert parse(context=longest).context == longest
    assert "wanted at most 1024 characters in all, got 1025" in refusal(context={"k": "x" * MAX_CONTEXT_CHARS})


# --- ids that the content decides


def test_the_same_event_sent_again_without_an_id_gets_the_same_id() -> None:
    first, second = (parse(time=NOW_MS, type="rating", value=value) for value in (4, 4.0))
    assert first.event_id == second.event_id
    assert first.event_id.startswith("h:")


@pytest.mark.parametrize(
    "change", [{"user_id": "bob"}, {"item_id": "jam"}, {"type": "view"}, {"time": NOW_MS + 1}, {"value": 1.0}]
)
def test_events_that_differ_in_anything_that_counts_get_different_ids(change: dict[str, object]) -> None:
    assert parse(**({"time": NOW_MS} | change)).event_id != parse(time=NOW_MS).event_id


def test_neighbouring_fields_cannot_be_shifted_into_each_other() -> None:
    first = parse(user_id="ab", item_id="c", time=NOW_MS)
    second = parse(user_id="a", item_id="bc", time=NOW_MS)
    assert first.event_id != second.event_id


def test_an_event_is_unique_by_16_bytes_of_its_id() -> None:
    keys = {Interaction(event_id, "u", "i", "click", NOW_MS).event_key for event_id in ("e1", "e2", "é", "e1")}
    assert sorted(map(len, keys)) == [16, 16, 16]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_any_field_value_gives_an_event_or_a_short_message(junk: object) -> None:
    for field in ("event_id", "user_id", "item_id", "type", "time", "value", "context", "recommendation_id", "version"):
        result = outcome(**{field: junk})
        assert isinstance(result, Interaction) or len(result) < 300


# --- event types


def test_a_type_without_a_name_of_its_own_or_no_type_at_all_is_refused() -> None:
    for table in ((), (EventType("click"), EventType("click"))):
        with pytest.raises(InvalidSettings, match="unique names and between 1 and"):
            EventTypes(table)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_that_popularity_cannot_add_up_is_refused(weight: float) -> None:
    with pytest.raises(InvalidSettings, match="event type click: wanted a finite weight of at least 0"):
        EventTypes((EventType("click", weight=weight),))


def test_default_types_window_seen_and_hide_flags() -> None:
    names = [kind.name for kind in TYPES.table]
    outside = {names[code] for code in range(len(names)) if code not in TYPES.flagged("window")}
    assert outside == {"dislike", "impression"}
    assert [names[code] for code in TYPES.flagged("hide")] == ["dislike"]
    assert "impression" not in {names[code] for code in TYPES.flagged("seen")}


def test_digest_changes_with_every_field_that_affects_state() -> None:
    plain = EventTypes((EventType("click"),))
    changes = (
        EventType("tap"),
        EventType("click", window=False),
        EventType("click", weight=2.0),
        EventType("click", seen=False),
        EventType("click", hide=True),
        EventType("click", negative=True),
    )
    assert EventTypes((EventType("click"),)).digest() == plain.digest()
    assert len({plain.digest(), *(EventTypes((changed,)).digest() for changed in changes)}) == 7


# --- values in messages


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("tea", "'tea'"),
        (b"tea", "b'tea'"),
        pytest.param(HUGE, "an integer of 16610 bits", id="huge"),
        ("x" * 10**6, "'" + "x" * 56 + "..."),
        ({"a": [1, None, "b"], "c": {}}, "{'a': [1, None, 'b'], 'c': {}}"),
        pytest.param([HUGE], "[an integer of 16610 bits]", id="huge in a list"),
        pytest.param([[]] * 10**6, "[" + "[], " * 14 + "...", id="long"),
    ],
)
def test_a_value_in_a_message_is_quoted_and_cut(value: object, text: str) -> None:
    assert shorten(value) == text


def test_of_a_value_that_is_nested_deeply_a_message_has_the_beginning() -> None:
    lists: list[object] = []
    objects: dict[str, object] = {}
    for _ in range(100_000):
        lists, objects = [lists], {"a": objects}
    assert shorten(lists) == "[" * 57 + "..."
    assert shorten(objects).startswith("{'a': {'a': {'a': ")
