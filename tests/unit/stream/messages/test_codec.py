"""Decoding messages, and dead letters for invalid ones."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import ManualClock
from core.errors import InvalidSettings
from core.events.interactions import Interaction
from core.records.stored import DeadLetter
from stream.messages.codec import (
    MAX_EVENTS_PER_MESSAGE,
    MAX_PAYLOAD_BYTES,
    Codec,
    Decoded,
    Message,
    encode,
    encode_many,
)
from stream.messages.fields import FieldMap
from stream.messages.partitioning import UserPartitions, partition_of

NOW_MS = 1_700_000_000_000
EVENT = {"event_id": "e1", "user_id": "ann", "item_id": "lamp", "type": "click", "time": NOW_MS - 5}


def message(value: object, **overrides: object) -> Message:
    raw = value if value is None or isinstance(value, bytes) else orjson.dumps(value)
    fields = {"topic": "interactions", "partition": 0, "offset": 7, "key": b"ann", "timestamp_ms": NOW_MS - 1}
    return Message(value=raw, **(fields | overrides))


def decode(*messages: Message, codec: Codec | None = None) -> Decoded:
    decoded = Decoded()
    for received in messages:
        (codec or Codec(clock=ManualClock(NOW_MS))).decode(received, decoded)
    return decoded


def rejection(value: object, **overrides: object) -> str:
    decoded = decode(message(value, **overrides))
    assert decoded.events == []
    (dead_letter,) = decoded.dead_letters
    assert (dead_letter.source, dead_letter.partition, dead_letter.offset, dead_letter.time_ms) == (
        "interactions",
        0,
        7,
        NOW_MS,
    )
    return dead_letter.reason


DEEP = b'{"a":' * 900 + b"1" + b"}" * 900


@pytest.mark.parametrize("value", [DEEP, b"[" * 900 + b"]" * 900, EVENT | {"context": [[[]]] * 900}])
def test_what_is_nested_deeply_becomes_a_dead_letter(value: object) -> None:
    assert rejection(value)


def test_beside_an_entry_that_is_nested_deeply_others_are_applied() -> None:
    received = message(b"[" + orjson.dumps(EVENT) + b"," + DEEP + b"]")
    decoded = decode(received)
    assert [event.event_id for event in decoded.events] == ["e1"]
    (dead_letter,) = decoded.dead_letters
    assert orjson.loads(dead_letter.payload).startswith("{'a': {'a': ")
    assert Codec().decode_dead_letter(dead_letter)[0] == []


def test_one_event_per_message_is_decoded_with_its_offset() -> None:
    decoded = decode(message(EVENT))
    assert decoded.events == [Interaction("e1", "ann", "lamp", "click", NOW_MS - 5)]
    assert decoded.offsets == [7]


def test_the_events_of_an_array_share_the_offset_of_their_message() -> None:
    decoded = decode(message([EVENT, EVENT | {"event_id": "e2"}]), message(EVENT | {"event_id": "e3"}, offset=9))
    assert [event.event_id for event in decoded.events] == ["e1", "e2", "e3"]
    assert decoded.offsets == [7, 7, 9]


def test_an_invalid_element_of_an_array_is_dead_lettered_alone() -> None:
    decoded = decode(message([EVENT, {"user_id": "", "item_id": "lamp"}, EVENT | {"event_id": "e2"}]))
    assert [event.event_id for event in decoded.events] == ["e1", "e2"]
    (dead_letter,) = decoded.dead_letters
    assert dead_letter.payload == b'{"user_id":"","item_id":"lamp"}'
    assert dead_letter.reason.startswith("user_id: wanted 1 to 256 bytes")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "value: wanted an event as JSON, got null"),
        (b"", "value: wanted JSON in UTF-8, got 0 bytes that are not"),
        (b"\xff\xfe", "value: wanted JSON in UTF-8, got 2 bytes that are not"),
        (b"{", "value: wanted JSON in UTF-8, got 1 bytes that are not"),
        (b'{"value": NaN}', "value: wanted JSON in UTF-8"),
        (b"17", "event: wanted a JSON object, got 17"),
        (b"[]", "value: wanted 1 to 10000 events in an array, got 0"),
        (EVENT | {"time": 1_700_000_000}, "time: 1700000000 looks like seconds"),
        (EVENT | {"time": NOW_MS + 10 * 3_600_000}, "time: 1700036000000 is 36000 s in the future"),
        (EVENT | {"colour": "red"}, "'colour': unknown field"),
        (EVENT | {"type": "teleport"}, "type: unknown event type 'teleport'"),
        (EVENT | {"user_id": 17}, "user_id: wanted a string, got 17"),
        (b'{"user_id": "ann", "item_id": "lamp", "time": 1e30}', "time: 1000000000000000019884624838656 is too large"),
        (b'{"user_id": "ann", "item_id": "lamp", "time": 1e400}', "value: wanted JSON in UTF-8"),
        (b"[" * 100_000, "value: wanted JSON in UTF-8"),
    ],
)
def test_an_invalid_message_becomes_a_dead_letter_with_a_reason(value: object, reason: str) -> None:
    assert rejection(value).startswith(reason)


def test_a_dead_letter_keeps_the_original_payload() -> None:
    assert decode(message(b"\x00\x01{")).dead_letters[0].payload == b"\x00\x01{"


def test_a_payload_above_the_limit_is_cut_and_the_reason_says_so() -> None:
    (dead_letter,) = decode(message(b"x" * (MAX_PAYLOAD_BYTES + 1))).dead_letters
    assert len(dead_letter.payload) == MAX_PAYLOAD_BYTES
    assert dead_letter.reason.endswith("(the payload of 1048577 bytes is cut to its first 1048576)")


def test_an_array_above_the_limit_is_rejected() -> None:
    assert "got 10001; send smaller arrays" in rejection([EVENT] * (MAX_EVENTS_PER_MESSAGE + 1))


def test_a_message_without_a_key_is_decoded() -> None:
    assert len(decode(message(EVENT, key=None)).events) == 1


def test_a_redelivered_event_without_time_and_id_is_the_same_event() -> None:
    bare = message([{"user_id": "ann", "item_id": "lamp"}, {"user_id": "ann", "item_id": "lamp"}])
    first = decode(bare).events
    again = decode(bare, codec=Codec(clock=ManualClock(NOW_MS + 60_000))).events
    assert first == again
    assert first[0].event_id == f"k:interactions:0:7:0@{NOW_MS - 1}"
    assert first[1].event_id == f"k:interactions:0:7:1@{NOW_MS - 1}"
    assert first[0].time_ms == NOW_MS - 1


def test_an_event_in_the_wrong_partition_is_rejected() -> None:
    right = partition_of("ann", num_partitions=4)
    wrong = (right + 1) % 4
    codec = Codec(clock=ManualClock(NOW_MS), partitions=UserPartitions(4, recount=lambda: 4))
    decoded = decode(message(EVENT, partition=wrong), message([EVENT], partition=right), codec=codec)
    assert [event.event_id for event in decoded.events] == ["e1"]
    (dead_letter,) = decoded.dead_letters
    assert dead_letter.reason.startswith(f"user_id: 'ann' belongs to partition {right} of 4, but came in {wrong}")


ids = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1, max_size=10)  # printable


@given(
    st.builds(
        Interaction,
        event_id=ids,
        user_id=ids,
        item_id=ids,
        type=st.sampled_from(["view", "cart", "dislike"]),
        time_ms=st.integers(10**11, NOW_MS),
        value=st.none() | st.floats(-1e9, 1e9),
        context=st.none() | st.dictionaries(ids, st.integers(0, 9) | ids, min_size=1, max_size=3),
        recommendation_id=st.none() | ids,
    )
)
def test_encoded_events_are_decoded_alone_and_in_arrays(event: Interaction) -> None:
    assert decode(message(encode(event))).events == [event]
    assert decode(message(encode_many([event, event]))).events == [event, event]


@given(st.binary(max_size=60))
def test_any_bytes_are_decoded_into_events_or_dead_letters(value: bytes) -> None:
    decoded = decode(message(value))
    assert len(decoded.events) + len(decoded.dead_letters) >= 1


@settings(max_examples=30)
@given(st.sampled_from(sorted(EVENT)), st.text() | st.sampled_from(["\n2026 ERROR forged", "\x1b[2J", "a\u2028b"]))
def test_what_is_wrong_with_a_message_is_told_on_one_line(field: str, value: str) -> None:
    for dead_letter in decode(message(EVENT | {field: value, value: 1})).dead_letters:
        assert dead_letter.reason.isprintable()


@given(st.integers(0, 8 * len(orjson.dumps(EVENT)) - 1), st.integers(1, len(orjson.dumps(EVENT))))
def test_a_damaged_message_is_an_event_or_a_dead_letter(bit: int, length: int) -> None:
    content = bytearray(orjson.dumps(EVENT))
    content[bit // 8] ^= 1 << bit % 8
    decoded = decode(message(bytes(content)), message(bytes(content[:length])))
    assert len(decoded.events) + len(decoded.dead_letters) == 2


def test_foreign_events_are_mapped_by_dotted_paths() -> None:
    fields = FieldMap(
        paths={"user_id": "who.id", "item_id": "what", "time": "at", "event_id": "meta.uuid"},
        types={"addtocart": "cart"},
        time_unit="s",
    )
    foreign = {"who": {"id": 17}, "what": 5, "at": 1_600_000_000.5, "type": "addtocart", "meta": None, "extra": [1]}
    decoded = decode(message(foreign), codec=Codec(fields=fields, clock=ManualClock(NOW_MS)))
    (event,) = decoded.events
    assert (event.user_id, event.item_id, event.type, event.time_ms) == ("17", "5", "cart", 1_600_000_000_500)


@pytest.mark.parametrize(("unit", "time"), [("us", 1_600_000_000_123_456), ("ns", 1_600_000_000_123_456_789)])
def test_microseconds_and_nanoseconds_are_cut_to_milliseconds(unit: str, time: int) -> None:
    mapped = FieldMap(time_unit=unit).apply({"time": time})
    assert mapped["time"] == 1_600_000_000_123


@pytest.mark.parametrize("fields", [FieldMap(), FieldMap(paths={"user_id": "who"}, time_unit="s")])
def test_the_time_of_a_message_may_be_iso_8601(fields: FieldMap) -> None:
    foreign = {"user_id": "ann", "who": "ann", "item_id": "x", "time": "2022-06-24 21:20:11"}
    names = foreign.keys() - ({"who"} if not fields.paths else {"user_id"})
    decoded = decode(
        message({name: foreign[name] for name in names}), codec=Codec(fields=fields, clock=ManualClock(NOW_MS))
    )
    assert [event.time_ms for event in decoded.events] == [1_656_105_611_000]


def test_a_key_that_contains_dots_is_mapped() -> None:
    assert FieldMap(paths={"user_id": "user.id"}).apply({"user.id": "ann"})["user_id"] == "ann"


@pytest.mark.parametrize(
    "options", [{"paths": {"uid": "user"}}, {"time_unit": "minutes"}], ids=["unknown field", "unknown unit"]
)
def test_an_invalid_mapping_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(InvalidSettings, match=r"^kafka\."):
        FieldMap(**options)


def test_tidewises_own_events_are_not_mapped() -> None:
    fields = FieldMap(paths={"user_id": "customer.id", "time": "at"}, types={"buy": "purchase"}, time_unit="s")
    event = Interaction("e1", "ann", "tent", "click", NOW_MS)
    decoded = decode(message(encode(event)), codec=Codec(fields=fields, clock=ManualClock(NOW_MS)))
    assert decoded.events == [event]
    assert decoded.dead_letters == []


def dead_letter_of(payload: bytes, *, key: int = 5, offset: int = 7) -> DeadLetter:
    return DeadLetter("interactions", 0, offset, "invalid then", payload, NOW_MS - 9, key)


def test_a_dead_letter_is_decoded_by_the_present_settings() -> None:
    codec = Codec(clock=ManualClock(NOW_MS))
    events, reasons = codec.decode_dead_letter(
        dead_letter_of(b'[{"user_id": "ann", "item_id": "a"}, {"user_id": "ann"}]')
    )
    assert [(event.user_id, event.time_ms) for event in events] == [("ann", NOW_MS - 9)]
    assert len(reasons) == 1
    assert reasons[0].startswith("item_id")


def test_ids_of_events_from_dead_letters_are_unique() -> None:
    codec = Codec(clock=ManualClock(NOW_MS))
    raw = b'{"user_id": "ann", "item_id": "a"}'
    first, second = (codec.decode_dead_letter(dead_letter_of(raw, key=key))[0][0] for key in (5, 6))
    [direct] = decode(message(raw)).events
    assert len({first.event_id, second.event_id, direct.event_id}) == 3
    assert codec.decode_dead_letter(dead_letter_of(raw, key=5))[0] == [first]
