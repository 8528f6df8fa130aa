"""What outcomes cost: the CPU time of remembering an answer, and of attributing events within ingest.

    python -m benchmarks.outcome_costs

SQLite, in a file in the system's temporary folder. Answers hold ten items; each user has as many of them within the
window as `--answers` says. Events are clicks without an id, which have to look for their answer, or with one.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.report import publish
from core.clock import WallClock
from core.events.history import WindowShape
from core.events.interactions import EventTypes, Interaction
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import RequestSource
from core.outcomes.answer_log import AnswerLog
from core.outcomes.attribution import Attributor
from core.outcomes.shown_items import ShownItem, ShownItems
from core.ports.store import Store
from core.records.outcomes import Answer, Counts, Origin, new_recommendation_id
from storage import open_store

NOW_MS = 1_790_000_000_000
NUM_USERS, NUM_ITEMS, NUM_SHOWN = 1_000, 3_000, 10
BATCHES = {1: 400, 50: 40, 2_000: 3}  # events per transaction: how many transactions
NAMES = count()


class PlainItems(ShownItems):
    """Without a snapshot: items have their keys from the database, and no novelty."""

    def __init__(self) -> None:
        """Nothing to read."""

    def facts(self, item_ids: Sequence[str], *, now_ms: int) -> dict[str, ShownItem]:
        """None; the answer log resolves the keys."""
        return {}


class TimedAttributor(Attributor):
    """Adds up the CPU time of attribution."""

    spent_s = 0.0

    def attribute(self, *arguments: Any) -> Counts:
        """As the base class."""
        begin_s = time.process_time()
        counts = super().attribute(*arguments)
        self.spent_s += time.process_time() - begin_s
        return counts


def remember(store: Store, attributor: Attributor, answers: Sequence[Answer]) -> dict[str, str]:
    """Microseconds per answer, on the thread of the request and behind it."""
    log = AnswerLog(store, attributor, PlainItems(), clock=WallClock(), wall=WallClock())
    begin_s = time.process_time()
    for answer in answers:
        log.add(answer)
    added_s = time.process_time()
    log.flush()
    flushed_s = time.process_time()
    per_answer = 1e6 / len(answers)
    return {
        "request": f"{(added_s - begin_s) * per_answer:.1f} us",
        "behind": f"{(flushed_s - added_s) * per_answer:.0f} us",
    }


def ingest(ingestor: Ingestor, draw: Random, *, size: int, ids: Sequence[str]) -> dict[str, str]:
    """Microseconds per event in transactions of `size` events. `ids`: of the answers that the events name, if any."""
    attributor = ingestor.attributor
    assert isinstance(attributor, TimedAttributor)
    attributor.spent_s, begin_s, num_events = 0.0, time.process_time(), size * BATCHES[size]
    for _ in range(BATCHES[size]):
        events = [_click(draw, f"e{next(NAMES)}", ids) for _ in range(size)]
        ingestor.ingest(events, RequestSource("api"))
    total_s = time.process_time() - begin_s
    return {
        "attribution": f"{attributor.spent_s / num_events * 1e6:.1f} us",
        "ingest": f"{total_s / num_events * 1e6:.0f} us",
        "share": f"{attributor.spent_s / total_s:.1%}",
    }


def _click(draw: Random, name: str, ids: Sequence[str]) -> Interaction:
    user, item = f"u{draw.randrange(NUM_USERS)}", f"i{draw.randrange(NUM_ITEMS)}"
    answer_id = draw.choice(ids) if ids else None
    return Interaction(name, user, item, "click", NOW_MS + 60_000, recommendation_id=answer_id)


def _answers(draw: Random, num: int) -> list[Answer]:
    names = [f"i{number}" for number in range(NUM_ITEMS)]
    return [
        Answer(
            new_recommendation_id(NOW_MS + number),
            f"u{number % NUM_USERS}",
            NOW_MS + number,
            Origin(model_version="v1"),
            tuple(draw.sample(names, NUM_SHOWN)),
            is_fallback=False,
        )
        for number in range(num)
    ]


def main() -> None:
    """Measure without and with answers."""
    parser = argparse.ArgumentParser(description="The CPU time of answers and of attribution.")
    parser.add_argument("--answers", type=int, default=10, help="answers of each user within the window")
    num_answers = parser.parse_args().answers * NUM_USERS
    draw, figures = Random(0), dict[str, object]()
    with tempfile.TemporaryDirectory() as folder, closing(open_store(f"sqlite:///{Path(folder) / 'x.db'}")) as store:
        ingestor = Ingestor(store, types=EventTypes(), shape=WindowShape(), attributor=TimedAttributor(EventTypes()))
        ingest(ingestor, draw, size=2_000, ids=())
        answers = _answers(draw, num_answers)
        for size in BATCHES:
            figures[f"no answers, {size} events"] = ingest(ingestor, draw, size=size, ids=())
        figures["an answer"] = remember(store, ingestor.attributor, answers)
        for size in BATCHES:
            figures[f"answers, {size} events without id"] = ingest(ingestor, draw, size=size, ids=())
            ids = [answer.recommendation_id for answer in answers]
            figures[f"answers, {size} events with id"] = ingest(ingestor, draw, size=size, ids=ids)
    publish("CPU of outcomes", figures)


if __name__ == "__main__":
    main()
