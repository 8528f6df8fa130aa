"""Replays recorded events through Kafka: at a rate, at a multiple of their original speed, or at full speed.

One producer sends the events in order, and a user's partition never changes, so each user's order is kept. Independent
of files and terminals: events come from an iterator, progress goes to a callback.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from core.errors import InvalidSettings, StreamUnavailable
from core.events.interactions import Interaction

GROUP_LINGER_S = 0.05  # then an incomplete group is sent, so that a slow replay does not delay events
PROGRESS_EVERY = 1_000  # events
PROGRESS_EVERY_S = 0.5  # or earlier, so that the progress of a slow replay is visible


class SentMessage(Protocol):
    """A message that may still fail: `stream.kafka.producer.SendFuture`."""

    def on_failure(self, callback: Callable[[BaseException], None]) -> None:
        """Register a callback for its failure."""
        ...


class Sender(Protocol):
    """The part of `stream.kafka.producer.EventProducer` that a replay uses."""

    def partition_of(self, user_id: str) -> int:
        """The partition to which a user belongs."""
        ...

    def send(self, event: Interaction) -> SentMessage:
        """Send one event."""
        ...

    def send_grouped(self, events: list[Interaction], *, partition: int) -> SentMessage:
        """Send several events of one partition as one message."""
        ...

    def flush(self) -> None:
        """Wait until every message has been acknowledged or has failed."""
        ...


class ReplayPace(Protocol):
    """When each event is due."""

    def due_s(self, index: int, time_ms: int) -> float:
        """Seconds after the start at which the event number `index` is sent."""
        ...


@dataclass(frozen=True, slots=True)
class FullSpeed:
    """As fast as Kafka acknowledges."""

    def due_s(self, index: int, time_ms: int) -> float:
        """At once."""
        return 0.0


@dataclass(frozen=True, slots=True)
class Rate:
    """A constant rate."""

    events_per_s: float

    def __post_init__(self) -> None:
        if not self.events_per_s > 0:
            msg = f"rate: wanted more than 0 events per second, got {self.events_per_s}"
            raise InvalidSettings(msg)

    def due_s(self, index: int, time_ms: int) -> float:
        """By its index."""
        return index / self.events_per_s


@dataclass(slots=True)
class TimeLapse:
    """By the events' times, `speed` times faster; pauses are cut to `max_pause_s`."""

    speed: float
    max_pause_s: float = 5.0
    _last_ms: int | None = field(default=None, init=False)
    _due_s: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        if not self.speed > 0:
            msg = f"time-lapse: wanted a speed above 0, got {self.speed}"
            raise InvalidSettings(msg)

    def due_s(self, index: int, time_ms: int) -> float:
        """By its time; an event older than its predecessor is due at once."""
        if self._last_ms is not None:
            gap_s = (time_ms - self._last_ms) / 1000 / self.speed
            self._due_s += min(max(gap_s, 0.0), self.max_pause_s)
        self._last_ms = time_ms if self._last_ms is None else max(time_ms, self._last_ms)
        return self._due_s


@dataclass(frozen=True, slots=True)
class Replayed:
    """The result of a replay, acknowledged by all replicas. `interrupted`: by Ctrl-C, before the end."""

    num_events: int
    num_messages: int
    elapsed_s: float
    interrupted: bool = False

    @property
    def events_per_s(self) -> float:
        """The average rate."""
        return self.num_events / max(self.elapsed_s, 1e-9)


class Stopwatch(Protocol):
    """A clock that can wait; tests have their own."""

    def now_s(self) -> float:
        """Seconds on a monotonic clock."""
        ...

    def wait(self, duration_s: float) -> None:
        """Wait."""
        ...


class RealTime:
    """The system's clock."""

    def now_s(self) -> float:
        """Seconds on the monotonic clock."""
        return time.monotonic()

    def wait(self, duration_s: float) -> None:
        """Sleep."""
        time.sleep(duration_s)


class Interrupts:
    """Ctrl-C during a replay: in a block `with interrupts:` it waits for its end, so that what is sent is counted."""

    def __init__(self) -> None:
        self._is_held = False
        self._is_waiting = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle them in this block, where Python's default handler would."""
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, or handled by who calls
            yield
            return
        try:
            signal.signal(signal.SIGINT, lambda *_: self._handle())
        except ValueError:  # not the main thread, which alone is interrupted
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _handle(self) -> None:
        if not self._is_held:
            raise KeyboardInterrupt
        self._is_waiting = True

    def __enter__(self) -> None:
        self._is_held = True

    def __exit__(self, *_: object) -> None:
        self._is_held = False
        if self._is_waiting:
            self._is_waiting = False
            raise KeyboardInterrupt


class Replay:
    """A replay of one iterator of events. `group`: how many events share a message at most."""

    def __init__(
        self,
        sender: Sender,
        *,
        pace: ReplayPace | None = None,
        group: int = 1,
        on_progress: Callable[[int], None] = lambda num_sent: None,
        clock: Stopwatch | None = None,
    ) -> None:
        self._sender = sender
        self._pace = pace or FullSpeed()
        self._group = group
        self._on_progress = on_progress
        self._clock = clock or RealTime()
        self._groups: dict[int, list[Interaction]] = {}
        self._oldest_s: float | None = None
        self._failures: list[BaseException] = []
        self._num_messages = 0
        self._interrupts = Interrupts()

    def run(self, events: Iterable[Interaction]) -> Replayed:
        """Send all events; raises `StreamUnavailable` as soon as a message is known to have failed.

        Ctrl-C ends it early: events taken until then are still sent, and counted.
        """
        started_s = self._clock.now_s()
        reported_s, num_events, interrupted = started_s, 0, False
        try:
            with self._interrupts.handled():
                for index, event in enumerate(events):
                    self._wait_until(started_s + self._pace.due_s(index, event.time_ms))
                    with self._interrupts:
                        self._send(event)
                        num_events = index + 1
                    if num_events % PROGRESS_EVERY == 0 or self._clock.now_s() - reported_s >= PROGRESS_EVERY_S:
                        reported_s = self._clock.now_s()
                        self._check()
                        self._on_progress(num_events)
        except KeyboardInterrupt:
            interrupted = True
        self._send_groups()
        self._sender.flush()
        self._check()
        self._on_progress(num_events)
        return Replayed(num_events, self._num_messages, self._clock.now_s() - started_s, interrupted)

    def _wait_until(self, due_s: float) -> None:
        while (ahead_s := due_s - self._clock.now_s()) > 0:
            if self._oldest_s is not None:
                ahead_s = min(ahead_s, max(0.0, self._oldest_s + GROUP_LINGER_S - self._clock.now_s()))
            if ahead_s > 0:
                self._clock.wait(ahead_s)
            else:
                with self._interrupts:
                    self._send_groups()

    def _send(self, event: Interaction) -> None:
        if self._group == 1:
            self._track(self._sender.send(event))
            return
        partition = self._sender.partition_of(event.user_id)
        group = self._groups.setdefault(partition, [])
        group.append(event)
        if self._oldest_s is None:
            self._oldest_s = self._clock.now_s()
        if len(group) >= self._group:
            self._track(self._sender.send_grouped(self._groups.pop(partition), partition=partition))

    def _send_groups(self) -> None:
        for partition, group in self._groups.items():
            self._track(self._sender.send_grouped(group, partition=partition))
        self._groups.clear()
        self._oldest_s = None

    def _track(self, message: SentMessage) -> None:
        self._num_messages += 1
        message.on_failure(self._failures.append)

    def _check(self) -> None:
        if self._failures:
            error = self._failures[0]
            msg = (
                f"replay: {len(self._failures)} messages were not acknowledged, the first because of "
                f"{type(error).__name__}: {error}; run it again, duplicates are ignored"
            )
            raise StreamUnavailable(msg) from error
