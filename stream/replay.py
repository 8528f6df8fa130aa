"""Replays recorded events through Kafka: at a rate, as a time-lapse of their own times, or as fast as it goes.

One producer sends in the order given, and a user's partition never changes, so each user's order survives. Knows
nothing about files or terminals: events come in as an iterator, progress goes out through a callback.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from core.errors import InvalidSettings, StreamUnavailable
from core.interactions import Interaction

GROUP_WAIT_S = 0.05  # an incomplete group is sent after this long, so that a slow replay stays fresh
PROGRESS_EVERY = 1_000
PROGRESS_EVERY_S = 0.5  # and at least so often, or a slow replay would seem to stand still


class Pending(Protocol):
    """A message on its way."""

    def on_failure(self, call: Callable[[BaseException], None]) -> None:
        """Call back when it fails."""
        ...


class Sender(Protocol):
    """What a replay needs of `stream.kafka.producer.EventProducer`."""

    def partition_of(self, user_id: str) -> int:
        """The partition to which a user belongs."""
        ...

    def send(self, event: Interaction) -> Pending:
        """Hand one event over."""
        ...

    def send_grouped(self, events: list[Interaction], *, partition: int) -> Pending:
        """Hand several events of one partition over."""
        ...

    def flush(self) -> None:
        """Wait for everything handed over."""
        ...


class Pace(Protocol):
    """When each event is due."""

    def due_s(self, place: int, time_ms: int) -> float:
        """Seconds after the start at which the event at `place` is to be sent."""
        ...


@dataclass(frozen=True, slots=True)
class FullSpeed:
    """As fast as it goes."""

    def due_s(self, place: int, time_ms: int) -> float:
        """At once."""
        return 0.0


@dataclass(frozen=True, slots=True)
class Rate:
    """Evenly, so many events a second."""

    events_per_s: float

    def __post_init__(self) -> None:
        if not self.events_per_s > 0:
            msg = f"rate: wanted more than 0 events per second, got {self.events_per_s}"
            raise InvalidSettings(msg)

    def due_s(self, place: int, time_ms: int) -> float:
        """By its place."""
        return place / self.events_per_s


@dataclass(slots=True)
class TimeLapse:
    """By the events' own times, `speed` times faster; `longest_pause_s` cuts nights short."""

    speed: float
    longest_pause_s: float = 5.0
    _last_ms: int | None = field(default=None, init=False)
    _due_s: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        if not self.speed > 0:
            msg = f"time-lapse: wanted a speed above 0, got {self.speed}"
            raise InvalidSettings(msg)

    def due_s(self, place: int, time_ms: int) -> float:
        """By its time; an event that is older than the one before it is due at once."""
        if self._last_ms is not None:
            gap_s = (time_ms - self._last_ms) / 1000 / self.speed
            self._due_s += min(max(gap_s, 0.0), self.longest_pause_s)
        self._last_ms = time_ms if self._last_ms is None else max(time_ms, self._last_ms)
        return self._due_s


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did. All of it was acknowledged by all replicas. `interrupted`: by Ctrl-C, before the end."""

    num_events: int
    num_messages: int
    elapsed_s: float
    interrupted: bool = False

    @property
    def events_per_s(self) -> float:
        """The rate that was reached."""
        return self.num_events / max(self.elapsed_s, 1e-9)


class Stopwatch(Protocol):
    """Time as a replay sees it; tests bring their own."""

    def now_s(self) -> float:
        """Seconds on a clock that only rises."""
        ...

    def wait(self, duration_s: float) -> None:
        """Let time pass."""
        ...


class RealTime:
    """The machine's clock."""

    def now_s(self) -> float:
        """Seconds on the monotonic clock."""
        return time.monotonic()

    def wait(self, duration_s: float) -> None:
        """Sleep."""
        time.sleep(duration_s)


class Replay:
    """One run over one stream of events. `group`: how many events share a message at most."""

    def __init__(
        self,
        sender: Sender,
        *,
        pace: Pace | None = None,
        group: int = 1,
        on_progress: Callable[[int], None] = lambda num_sent: None,
        clock: Stopwatch | None = None,
    ) -> None:
        self._sender = sender
        self._pace = pace or FullSpeed()
        self._group = group
        self._on_progress = on_progress
        self._clock = clock or RealTime()
        self._waiting: dict[int, list[Interaction]] = {}
        self._oldest_s: float | None = None
        self._failures: list[BaseException] = []
        self._num_messages = 0

    def run(self, events: Iterable[Interaction]) -> Replayed:
        """Send everything; raises `StreamUnavailable` as soon as a message is known to have failed.

        Ctrl-C ends it early: what was handed over until then is still sent, and counted.
        """
        started_s = self._clock.now_s()
        reported_s, num_events, interrupted = started_s, 0, False
        try:
            for place, event in enumerate(events):
                self._wait_until(started_s + self._pace.due_s(place, event.time_ms))
                self._hand_over(event)
                num_events = place + 1
                if num_events % PROGRESS_EVERY == 0 or self._clock.now_s() - reported_s >= PROGRESS_EVERY_S:
                    reported_s = self._clock.now_s()
                    self._check()
                    self._on_progress(num_events)
        except KeyboardInterrupt:
            interrupted = True
        self._send_waiting()
        self._sender.flush()
        self._check()
        self._on_progress(num_events)
        return Replayed(num_events, self._num_messages, self._clock.now_s() - started_s, interrupted)

    def _wait_until(self, due_s: float) -> None:
        while (ahead_s := due_s - self._clock.now_s()) > 0:
            if self._oldest_s is not None:
                ahead_s = min(ahead_s, max(0.0, self._oldest_s + GROUP_WAIT_S - self._clock.now_s()))
            if ahead_s > 0:
                self._clock.wait(ahead_s)
            else:
                self._send_waiting()

    def _hand_over(self, event: Interaction) -> None:
        if self._group == 1:
            self._track(self._sender.send(event))
            return
        partition = self._sender.partition_of(event.user_id)
        group = self._waiting.setdefault(partition, [])
        group.append(event)
        if self._oldest_s is None:
            self._oldest_s = self._clock.now_s()
        if len(group) >= self._group:
            self._track(self._sender.send_grouped(self._waiting.pop(partition), partition=partition))

    def _send_waiting(self) -> None:
        for partition, group in self._waiting.items():
            self._track(self._sender.send_grouped(group, partition=partition))
        self._waiting.clear()
        self._oldest_s = None

    def _track(self, pending: Pending) -> None:
        self._num_messages += 1
        pending.on_failure(self._failures.append)

    def _check(self) -> None:
        if self._failures:
            error = self._failures[0]
            msg = (
                f"replay: {len(self._failures)} messages were not acknowledged, the first because of "
                f"{type(error).__name__}: {error}; run it again, what did get through counts once"
            )
            raise StreamUnavailable(msg) from error
