"""Availability: when items may be recommended, by limits in time and by stock, and which are listed at a moment.

Shapes: n catalogue rows, m changed ones, t transitions (a row becomes available, or stops being so).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from core.arrays import BoolArray, IntArray
from core.catalogue.columns import with_rows
from core.errors import InvalidItem
from core.events.interactions import check_time_ms, is_scalar, shorten
from core.times import second_text

BEGIN_MS, END_MS = -(2**62), 2**62  # of an item without limits
UNLIMITED = (BEGIN_MS, END_MS)


class Availability(NamedTuple):
    """The times (ms) from which and until which an item is available, and its stock; None: no limit."""

    available_from: int | None = None
    available_until: int | None = None
    stock: int | None = None

    @property
    def is_in_stock(self) -> bool:
        """False with a stock of 0 or less."""
        return self.stock is None or self.stock > 0

    def problem(self, now_ms: int) -> str | None:
        """Why the item cannot be recommended at a time; None if it can."""
        if not self.is_in_stock:
            return "out of stock"
        if self.available_from is not None and now_ms < self.available_from:
            return f"available from {second_text(self.available_from)} UTC"
        if self.available_until is not None and now_ms >= self.available_until:
            return f"was available until {second_text(self.available_until)} UTC"
        return None


ALWAYS = Availability()
AVAILABILITY_FIELDS = Availability._fields


def parse_availability(raw: Mapping[str, Any]) -> Availability:
    """The availability in a decoded item; raises `InvalidInput`, whose message begins with the invalid field."""
    if not any(raw.get(name) is not None for name in AVAILABILITY_FIELDS):
        return ALWAYS
    begin_ms, end_ms = (
        None if raw.get(name) is None else check_time_ms(name, raw[name]) for name in AVAILABILITY_FIELDS[:2]
    )
    if begin_ms is not None and end_ms is not None and end_ms <= begin_ms:
        begin, end = shorten(raw["available_from"]), shorten(raw["available_until"])
        msg = f"available_until: wanted a time after available_from, {begin}, got {end}"
        raise InvalidItem(msg, field="available_until")
    stock = raw.get("stock")
    if stock is not None and (isinstance(stock, bool) or not isinstance(stock, int) or not is_scalar(stock)):
        msg = f"stock: wanted an integer, got {shorten(stock)}"
        raise InvalidItem(msg, field="stock")
    return Availability(begin_ms, end_ms, stock)


def limits_of(items: Sequence[tuple[int | None, int | None]]) -> IntArray:
    """(n, 2) the times from which and until which each item is available."""
    limits = [(BEGIN_MS if begin is None else begin, END_MS if end is None else end) for begin, end in items]
    return np.array(limits, np.int64).reshape(-1, 2)


class _Period(NamedTuple):
    """From `begin_ms` until before `end_ms` nothing changes: (n,) `mask` says which rows are listed."""

    begin_ms: int
    end_ms: int
    mask: BoolArray


class _Transitions(NamedTuple):
    """The (t,) times, ascending, at which rows become available or stop being so, and these rows."""

    times_ms: IntArray
    rows: IntArray

    def between(self, first_ms: int, second_ms: int) -> IntArray:
        """The rows that change from one time to another, in either direction."""
        low, high = np.searchsorted(self.times_ms, sorted((first_ms, second_ms)), side="right")
        return self.rows[low:high]

    def period(self, begin_ms: int, mask: BoolArray) -> _Period:
        """The period that a mask for a time holds from there on."""
        place = int(np.searchsorted(self.times_ms, begin_ms, side="right"))
        end_ms = int(self.times_ms[place]) if place < len(self.times_ms) else 2 * END_MS
        return _Period(begin_ms, end_ms, mask)

    def replaced(self, rows: IntArray, limits: IntArray) -> _Transitions:
        """With those of (m,) rows by new (n, 2) limits."""
        kept, new = ~np.isin(self.rows, rows), _transitions(rows, limits)
        times_ms, changing = self.times_ms[kept], self.rows[kept]
        places = np.searchsorted(times_ms, new.times_ms)
        return _Transitions(np.insert(times_ms, places, new.times_ms), np.insert(changing, places, new.rows))


class ListedTimes:
    """Which rows are listed at a time. Keeps the mask of the last time, so that a request costs what changed since.

    Thread-safe: a mask that was handed out never changes.
    """

    __slots__ = ("_limits", "_listed", "_period", "_transitions")

    def __init__(self, listed: BoolArray, limits: IntArray, transitions: _Transitions, period: _Period) -> None:
        """See `of`."""
        self._listed = listed
        self._limits = limits
        self._transitions = transitions
        self._period = period

    @classmethod
    def of(cls, listed: BoolArray, limits: IntArray) -> ListedTimes:
        """(n,) `listed` at any time within the (n, 2) `limits`."""
        transitions = _transitions(np.flatnonzero((limits != UNLIMITED).any(axis=1)), limits)
        is_late = limits[:, 0] > BEGIN_MS
        mask = listed & ~is_late if is_late.any() else listed
        return cls(listed, limits, transitions, transitions.period(BEGIN_MS, mask))

    def at(self, now_ms: int) -> BoolArray:
        """(n,) whether each row is listed; not to be written to."""
        period = self._period
        if period.begin_ms <= now_ms < period.end_ms:
            return period.mask
        rows = self._transitions.between(period.begin_ms, now_ms)
        mask = period.mask.copy()
        mask[rows] = self._listed[rows] & _within(self._limits[rows], now_ms)
        self._period = self._transitions.period(now_ms, mask)
        return mask

    def with_rows(self, listed: BoolArray, limits: IntArray, rows: IntArray) -> ListedTimes:
        """Of a catalogue in which (m,) `rows`, ascending, changed or are new, behind those of this one."""
        if listed is self._listed and limits is self._limits:
            return self
        begin_ms, _, mask = self._period
        moved = self._moved(limits, rows)
        transitions = self._transitions.replaced(moved, limits) if len(moved) else self._transitions
        mask = with_rows(mask, rows, listed[rows] & _within(limits[rows], begin_ms))
        return ListedTimes(listed, limits, transitions, transitions.period(begin_ms, mask))

    def _moved(self, limits: IntArray, rows: IntArray) -> IntArray:
        """The rows whose limits differ."""
        old = np.tile(np.array(UNLIMITED, np.int64), (len(rows), 1))
        is_known = rows < len(self._limits)
        old[is_known] = self._limits[rows[is_known]]
        moved: IntArray = rows[(old != limits[rows]).any(axis=1)]
        return moved


def _transitions(rows: IntArray, limits: IntArray) -> _Transitions:
    """Of (m,) rows, by the (n, 2) limits of all."""
    times_ms, changing = limits[rows].T.ravel(), np.tile(rows, 2)
    limited = (times_ms > BEGIN_MS) & (times_ms < END_MS)
    times_ms, changing = times_ms[limited], changing[limited]
    order = np.argsort(times_ms, kind="stable")
    return _Transitions(times_ms[order], changing[order])


def _within(limits: IntArray, now_ms: int) -> BoolArray:
    """(m,) whether a time is within (m, 2) limits."""
    is_within: BoolArray = (limits[:, 0] <= now_ms) & (now_ms < limits[:, 1])
    return is_within
