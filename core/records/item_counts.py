"""The record of counts by item: a plain value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from core.records.outcomes import Measure

FIRST_TYPE = 16  # events of the type with code c are counted as measure 16 + c; lower numbers are a `Measure`


class ItemCountKey(NamedTuple):
    """What a count belongs to. `day`: in days since 1970, of the answer for a `Measure`, of the event for a type."""

    measure: int
    day: int
    item_key: int


ItemCounts = Mapping[ItemCountKey, int]


def measure_of_type(type_code: int) -> int:
    """The measure that counts events of a type."""
    return FIRST_TYPE + type_code


OF_ANSWERS = (Measure.SHOWN,)  # what cannot be counted again from events
