"""The records of answers and outcomes: plain values. Positions are 1-based, times are ms UTC."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple

ID_BYTES = 16
TIME_BYTES = 6
MAX_POSITION = 100  # positions beyond it are counted as this one


class Measure(IntEnum):
    """What is counted; stored as integers, so never renumber.

    From events, each item of an answer once, however many events it has: IMPRESSION (a client reports that it was
    shown; a click or conversion proves it too), CLICK, CONVERSION (its value: the revenue of all purchases). From
    answers: SHOWN (the items of all answers, by position), ANSWER (the answers; their value: the items' novelty in
    bits, summed), NEW (their items that were new). Of answers with purchases: REVENUE (those of which one has a value;
    their value: the squares of their revenues, summed).
    """

    IMPRESSION = 0
    CLICK = 1
    CONVERSION = 2
    SHOWN = 3
    ANSWER = 4
    NEW = 5
    REVENUE = 6


OF_EVENTS = (Measure.IMPRESSION, Measure.CLICK, Measure.CONVERSION, Measure.REVENUE)


class Origin(NamedTuple):
    """What an answer was made by. `arm`: as "experiment/arm"; empty texts: the default scenario, no arm, no model."""

    scenario: str = ""
    arm: str = ""
    model_version: str = ""


OriginField = Literal["scenario", "arm", "model_version"]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was given: its items in order, and the propensity of each, 1.0 where nothing was randomised.

    `user_id`: the id that the request named; None for an anonymous session and for lists without a user.
    `propensities`: None where all are 1.0. `is_fallback`: whether popularity answered in place of a model; None for
    lists that no model is meant for. `user_key`: of the user's state that was read; None where there was none.
    """

    recommendation_id: str
    user_id: str | None
    time_ms: int
    origin: Origin
    item_ids: tuple[str, ...]
    propensities: tuple[float, ...] | None = None
    is_fallback: bool | None = None
    user_key: int | None = None


class StoredAnswer(NamedTuple):
    """An answer as stored. `novelty`: of all items, in bits. `num_new`: how many of them were new.

    A tuple, because ingest reads all answers to a user within the window.
    """

    key: bytes
    user_id: str | None
    time_ms: int
    origin_key: int
    item_keys: tuple[int, ...]
    propensities: tuple[float, ...] | None = None
    num_new: int = 0
    novelty: float = 0.0

    def position_of(self, item_key: int) -> int:
        """The position of an item, 0 if the answer does not hold it."""
        return self.item_keys.index(item_key) + 1 if item_key in self.item_keys else 0

    def propensity_at(self, position: int) -> float:
        """The propensity of the item at a position."""
        return 1.0 if self.propensities is None else self.propensities[position - 1]


class Wanted(NamedTuple):
    """An answer that is looked for: one that showed an item to a user, with `since_ms` <= time <= `until_ms`."""

    user_id: str
    item_key: int
    since_ms: int
    until_ms: int


class Outcome(NamedTuple):
    """An event attributed to an item of an answer. What it needs of the answer is copied: answers are deleted."""

    answer_key: bytes
    position: int
    measure: int
    event_key: bytes
    origin_key: int
    answered_ms: int
    propensity: float
    value: float | None


class CountKey(NamedTuple):
    """What a count belongs to. `day`: of the answer, in days since 1970; `position`: 0 for whole answers."""

    day: int
    origin_key: int
    position: int
    measure: int


Counts = Mapping[CountKey, tuple[int, float]]  # number and value


def new_recommendation_id(now_ms: int) -> str:
    """A new id of 32 hexadecimal digits. It begins with the time, so that the newest answers are neighbours."""
    return (now_ms.to_bytes(TIME_BYTES, "big") + secrets.token_bytes(ID_BYTES - TIME_BYTES)).hex()


def answer_key_of(recommendation_id: str) -> bytes | None:
    """The 16-byte key of an answer; None for an id that is not one of ours."""
    if len(recommendation_id) != 2 * ID_BYTES:
        return None
    try:
        return bytes.fromhex(recommendation_id)
    except ValueError:
        return None


def first_key_at(time_ms: int) -> bytes:
    """The lowest key of an answer at a time."""
    return max(0, time_ms).to_bytes(TIME_BYTES, "big") + bytes(ID_BYTES - TIME_BYTES)
