"""Live traffic: send events to a running server at a steady rate, with a progress bar.

Knows nothing about where the events come from; it speaks to the public API only.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from core.interactions import Interaction
from tidewise.client import Client, event_json

REQUESTS_PER_S = 8  # at a given rate: often enough to look alive, seldom enough to cost nothing
LARGEST_BATCH = 500


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What became of the events. `statuses`: how many were accepted, duplicate, rejected."""

    statuses: dict[str, int]
    elapsed_s: float

    @property
    def num_events(self) -> int:
        """How many events were sent."""
        return sum(self.statuses.values())

    @property
    def events_per_s(self) -> float:
        """The rate that was reached."""
        return self.num_events / max(self.elapsed_s, 1e-9)


@dataclass(frozen=True, slots=True)
class Pace:
    """When the next batch may go: event number k at k / rate seconds after the start. No rate: at once."""

    rate_per_s: float | None
    now_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    @property
    def batch(self) -> int:
        """How many events go into one request."""
        if self.rate_per_s is None:
            return LARGEST_BATCH
        return max(1, min(LARGEST_BATCH, round(self.rate_per_s / REQUESTS_PER_S)))

    def wait(self, *, start_s: float, num_sent: int) -> None:
        """Wait until the event after `num_sent` is due."""
        if self.rate_per_s is not None:
            ahead_s = start_s + num_sent / self.rate_per_s - self.now_s()
            if ahead_s > 0:
                self.sleep(ahead_s)


def replay_live(client: Client, events: Sequence[Interaction], *, pace: Pace, console: Console) -> ReplayReport:
    """Send all events in order, in batches, at the pace; an event that is refused is counted, not sent again."""
    statuses: Counter[str] = Counter()
    start_s = pace.now_s()
    with _progress(console) as progress:
        task = progress.add_task("live traffic", total=len(events))
        for batch in _batches(events, pace.batch):
            pace.wait(start_s=start_s, num_sent=statuses.total())
            statuses.update(result["status"] for result in client.send([event_json(event) for event in batch]))
            progress.update(task, advance=len(batch))
    return ReplayReport(dict(statuses), pace.now_s() - start_s)


def _batches(events: Sequence[Interaction], size: int) -> Iterator[Sequence[Interaction]]:
    return (events[first : first + size] for first in range(0, len(events), size))


class _Speed(ProgressColumn):
    """Events per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f} events/s")


def _progress(console: Console) -> Progress:
    columns = (BarColumn(), MofNCompleteColumn(), _Speed(), TimeRemainingColumn())
    return Progress(TextColumn("{task.description}"), *columns, console=console)
