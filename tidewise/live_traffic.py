"""Live traffic: sends events to a running server at a steady rate, with a progress bar.

Independent of the source of the events; uses the public API only.
"""

from __future__ import annotations

import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Queue
from threading import Event

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from core.events.interactions import Interaction
from tidewise.client import ApiError, Client, event_json

REQUESTS_PER_S = 8  # with --rate: smooth, and few enough to cost little
LARGEST_BATCH = 500


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """The result of a replay. `statuses`: the number of events that were accepted, duplicate, rejected."""

    statuses: dict[str, int]
    elapsed_s: float

    @property
    def num_events(self) -> int:
        """The number of events sent."""
        return sum(self.statuses.values())

    @property
    def events_per_s(self) -> float:
        """The achieved rate."""
        return self.num_events / max(self.elapsed_s, 1e-9)


@dataclass(frozen=True, slots=True)
class TrafficPace:
    """The schedule of events: number k at k / rate seconds after the start, without a rate at once."""

    rate_per_s: float | None
    now_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    @property
    def batch_size(self) -> int:
        """The number of events in a request."""
        if self.rate_per_s is None:
            return LARGEST_BATCH
        return max(1, min(LARGEST_BATCH, round(self.rate_per_s / REQUESTS_PER_S)))

    def wait(self, *, start_s: float, num_sent: int) -> None:
        """Wait until the event after `num_sent` is due."""
        if self.rate_per_s is not None:
            ahead_s = start_s + num_sent / self.rate_per_s - self.now_s()
            if ahead_s > 0:
                self.sleep(ahead_s)


def replay_live(
    clients: Sequence[Client],
    events: Iterable[Interaction],
    *,
    pace: TrafficPace,
    console: Console,
    total: int | None = None,
    on_batch: Callable[[float], None] = lambda seconds: None,
) -> ReplayReport:
    """Send all events in batches at the pace; a rejected event is counted, not sent again.

    Each user belongs to one client, which sends that user's events in order. `on_batch` gets the duration of each
    request in seconds. The first failure of a client ends the replay and is raised.
    """
    start_s = pace.now_s()
    lanes = [_Lane(client, on_batch) for client in clients]
    with ThreadPoolExecutor(len(lanes)) as pool, events_bar(console) as progress:
        task = progress.add_task("replay", total=total)
        running = [pool.submit(lane.run) for lane in lanes]
        try:
            for number, event in enumerate(events):
                if number % pace.batch_size == 0:
                    pace.wait(start_s=start_s, num_sent=number)
                    progress.update(task, completed=number)
                lane = lanes[zlib.crc32(event.user_id.encode()) % len(lanes)]
                if not lane.offer(event, batch_size=pace.batch_size):
                    break
        finally:
            for lane in lanes:
                lane.finish()
        statuses = sum((future.result() for future in running), Counter[str]())
        progress.update(task, completed=statuses.total())
    return ReplayReport(dict(statuses), pace.now_s() - start_s)


class _Lane:
    """A client's queue: the reader collects events into batches, a thread sends them."""

    def __init__(self, client: Client, on_batch: Callable[[float], None]) -> None:
        self._client = client
        self._on_batch = on_batch
        self._batches: Queue[list[Interaction] | None] = Queue(maxsize=4)
        self._batch: list[Interaction] = []
        self._failed = Event()

    def offer(self, event: Interaction, *, batch_size: int) -> bool:
        """Add an event; False after a failure of this lane, when the replay should end."""
        self._batch.append(event)
        if len(self._batch) >= batch_size:
            self._batches.put(self._batch)
            self._batch = []
        return not self._failed.is_set()

    def finish(self) -> None:
        """Send the remaining events, then end."""
        if self._batch:
            self._batches.put(self._batch)
        self._batches.put(None)

    def run(self) -> Counter[str]:
        """Send batches until the end; after a failure drop them, so that the reader does not block."""
        statuses: Counter[str] = Counter()
        failure: ApiError | None = None
        while (batch := self._batches.get()) is not None:
            if failure is not None:
                continue
            try:
                start_s = time.perf_counter()
                statuses.update(
                    result["status"] for result in self._client.send([event_json(event) for event in batch])
                )
                self._on_batch(time.perf_counter() - start_s)
            except ApiError as error:
                failure = error
                self._failed.set()
        if failure is not None:
            raise failure
        return statuses


class _Speed(ProgressColumn):
    """Events per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f} events/s")


def events_bar(console: Console) -> Progress:
    """A progress bar that counts events and shows their rate."""
    columns = (BarColumn(), MofNCompleteColumn(), _Speed(), TimeRemainingColumn())
    return Progress(TextColumn("{task.description}"), *columns, console=console)
