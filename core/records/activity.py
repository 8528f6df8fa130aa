"""Records of activity: how many requests took how long, in short periods of wall-clock time."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class ActivityKind(IntEnum):
    """What is counted; the numbers are stored."""

    RECOMMENDATION = 1  # the time of an answer to a user
    APPLIED_EVENTS = 2  # from posting events until the next answer knows them
    WAITING_EVENTS = 3  # how many waited at the end of the period; their bucket is 0


class ActivityCount(NamedTuple):
    """`num` requests whose latency is in a bucket, in the period that begins at `start_ms`."""

    start_ms: int
    kind: ActivityKind
    bucket: int
    num: int
