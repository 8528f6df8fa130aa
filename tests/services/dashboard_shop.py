"""A shop for the dashboard's tests: simulated up to this moment, trained, and with everything that a page can show.

Users, items, events, counts and the champion are real. What takes days to develop is inserted: verdicts of the gate,
alarms, their signals, dead letters. An item, a user and a dead letter contain markup.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.catalogue.items import Item
from core.manage import save_items
from core.ports.offsets import ANSWERS
from core.ports.store import Transaction
from core.records.drift import Alarm, Point
from core.records.item_counts import ItemCountKey
from core.records.outcomes import CountKey, Measure, Origin, Outcome, StoredAnswer, first_key_at
from core.records.statuses import AlarmEnding
from core.records.stored import DeadLetter, ModelRecord, UserShift
from tidewise.bootstrap import System, open_system
from tidewise.demo.demo import fill
from tidewise.demo.simulator import Shop, simulate_shop
from tidewise.settings.schema import CONFIG_NAME, load_settings
from tidewise.training.learning import train_model

SETTINGS = """
[window]
size = 30
step = 10

[model]
width = 32
layers = 1
experts = 2
text_dim = 32

[train]
epochs = 3
threads = 1
"""
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
EVIL = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">"
EVIL_USER = "eve/<img src=x onerror=alert(1)>?&#/.."
EVIL_ITEM = "evil-1"
SHIFTED_USER = "user-0007"
EVIL_CATEGORY = "<b>bold</b>"
OLDER, REFUSED, CHALLENGER = "hm4sr-0d8fb31c77aa", "hm4sr-52c09e1b6f40", "hm4sr-9b1e64f0c2d8"


def simulated(end_ms: int) -> Shop:
    """The shop, its last day kept back as live traffic."""
    return simulate_shop(seed=11, num_users=240, num_items=480, days=45, live_days=1, end_ms=end_ms)


def build(folder: Path) -> None:
    """Make the data folder."""
    now_ms = time.time_ns() // 1_000_000
    folder.mkdir()
    (folder / CONFIG_NAME).write_text(SETTINGS)
    with open_system(load_settings(overrides={"data.folder": str(folder)}, environment={})) as system:
        fill(system, simulated(now_ms))
        train_model(system, progress=lambda _: None)
        plant(system, now_ms)


def plant(system: System, now_ms: int) -> None:
    """What takes days to come about."""
    save_items(system.store, [Item(EVIL_ITEM, EVIL, EVIL, (EVIL_CATEGORY, "Tea"), {EVIL: EVIL})])
    with system.store.read() as read:
        champion = read.models.champion()
    assert champion is not None
    with system.store.transaction() as tx:
        for record in [replace(champion, created_ms=now_ms - 5 * DAY_MS), *_models(now_ms)]:
            tx.models.save(record)
        tx.drift.save_points(list(_points(now_ms)))
        tx.drift.save_alarms(_alarms(now_ms))
        tx.dead_letters.add(_letters(now_ms))
        tx.users.save_shifts([UserShift(tx.users.lock([SHIFTED_USER])[SHIFTED_USER].key, now_ms - DAY_MS, 0.62)])
        _count_outcomes(tx, now_ms)
        _plant_experiment(tx, now_ms)
        tx.commit()


def _models(now_ms: int) -> list[ModelRecord]:
    trained = {"num_events": 14_210, "seed": 0, "epochs": 4, "seconds": 9.4, "precision": "float32"}
    fine_tuned = {"kind": "fine-tune", "parent": OLDER, "trigger": "5,000 new events"}
    return [
        ModelRecord(OLDER, "", "retired", now_ms - 9 * DAY_MS, {"kind": "first", **trained}),
        ModelRecord(
            REFUSED,
            "",
            "refused",
            now_ms - 4 * DAY_MS,
            {**trained, **fine_tuned, "refused": "worse", "trials": [_trial(now_ms - 4 * DAY_MS, "refuse", -0.031)]},
        ),
        ModelRecord(
            CHALLENGER,
            "models/of-the-future",
            "challenger",
            now_ms - HOUR_MS,
            {**trained, **fine_tuned, "trials": [_trial(now_ms, "undecided", 0.004)]},
        ),
    ]


def _trial(time_ms: int, verdict: str, mean: float) -> dict[str, Any]:
    low, high = mean - 0.009, mean + 0.009
    reason = f"against the champion {mean:+.4f} NDCG@10 [{low:+.4f}, {high:+.4f}], margin 0.0061"
    own, difference = {"mean": 0.3, "low": 0.28, "high": 0.32}, {"mean": mean, "low": low, "high": high}
    counts = {"name": "transition counts", "ndcg_10": {"mean": 0.2104, "low": 0.1995, "high": 0.2223}}
    compared = [{"name": "challenger", "ndcg_10": own}, counts | {"difference": difference}]
    figures = {"events": 812, "available": 4_060, "users": 164, "compared": compared}
    return {"time": time_ms, "verdict": verdict, "reason": reason, **figures}


def _points(now_ms: int) -> Iterator[Point]:
    """Two weeks, hour by hour, in a daily rhythm; two days ago something moved."""
    chance = random.Random(5)
    moved_ms = now_ms - 2 * DAY_MS
    first = (now_ms - 14 * DAY_MS) // HOUR_MS
    for hour in range(first, now_ms // HOUR_MS):
        start_ms = hour * HOUR_MS
        moved, rhythm = start_ms >= moved_ms, math.sin(hour / 24 * math.tau)
        for name, level, swing, after in (
            ("hit_rate", 0.31, 0.03, 0.17),
            ("loss", 4.9, -0.2, 5.8),
            ("categories", 0.05, 0.01, 0.21),
            ("new_users", 0.04, 0.015, 0.042),
        ):
            expected = level + swing * rhythm
            value = (after if moved else level) + swing * rhythm + chance.gauss(0, 0.04 * level)
            yield Point(name, "", start_ms, start_ms + HOUR_MS, 120, max(0.0, value), expected)


def _count_outcomes(tx: Transaction, now_ms: int) -> None:
    """Ten days of two scenarios, one of them in two arms."""
    origins = [Origin("homepage", "layout/a", OLDER), Origin("homepage", "layout/b", OLDER), Origin("", "", OLDER)]
    writer = tx.offsets.lock(ANSWERS, [0])[0]
    for weight, key in enumerate(tx.answers.name_origins(origins).values(), 1):
        for day in range(now_ms // DAY_MS - 9, now_ms // DAY_MS + 1):
            shown = 300 * weight + 17 * (day % 7)
            counts = {CountKey(day, key, 0, Measure.ANSWER): (shown, 90.0 * shown)}
            counts[CountKey(day, key, 0, Measure.NEW)] = (shown // 2, 0.0)
            counts[CountKey(day, key, 0, Measure.REVENUE)] = (shown // 9, 24.5**2 * (shown // 9))
            for position in range(1, 11):
                num_clicks = (shown * (2 + day % 3)) // (20 + 12 * position)
                counts[CountKey(day, key, position, Measure.SHOWN)] = (shown, 0.0)
                counts[CountKey(day, key, position, Measure.CLICK)] = (num_clicks, 0.0)
                bought = num_clicks // 9
                counts[CountKey(day, key, position, Measure.CONVERSION)] = (bought, 24.5 * bought)
            tx.outcomes.add_counts(writer.key, counts)
    _count_items(tx, writer.key, now_ms)


def _count_items(tx: Transaction, writer_key: int, now_ms: int) -> None:
    """Twenty days of ten items of Tea, the first of them more often than the others."""
    counts: dict[ItemCountKey, int] = {}
    keys = tx.items.resolve([f"tea-{number:03}" for number in range(1, 11)])
    for place, item_key in enumerate(keys.values(), 1):
        for day in range(now_ms // DAY_MS - 19, now_ms // DAY_MS + 1):
            shown = 1_000 // place + 17 * (day % 7)
            counts[ItemCountKey(Measure.SHOWN, day, item_key)] = shown
            counts[ItemCountKey(Measure.CLICK, day, item_key)] = shown // (9 + place)
    tx.item_counts.add(writer_key, counts)


def _plant_experiment(tx: Transaction, now_ms: int) -> None:
    """Three days of "layout", on a scenario that no page requests; more users of b click."""
    arms = [{"name": "a", "share": 0.5}, {"name": "b", "share": 0.5, "scenario": "wide"}]
    definition = {"description": "Wide pictures", "scenario": "homepage", "arms": arms, "start": now_ms - 3 * DAY_MS}
    tx.experiments.lock()
    tx.experiments.add("layout", definition, author="ann", now_ms=now_ms - 3 * DAY_MS)
    origins = [Origin("homepage", "layout/a", OLDER), Origin("wide", "layout/b", OLDER)]
    keys = tx.answers.name_origins(origins)
    answers, clicks = [], []
    for number in range(1_200):
        time_ms = now_ms - 3 * DAY_MS + number * (3 * DAY_MS // 1_200)
        arm = number % 2
        key = first_key_at(time_ms)[:-4] + number.to_bytes(4, "big")
        answer = StoredAnswer(key, f"visitor-{number}", time_ms, keys[origins[arm]], (1, 2, 3, 4, 5))
        answers.append(answer)
        if number % 10 < (6 if arm else 2):
            event_key = number.to_bytes(16, "big")
            clicks.append(Outcome(key, 1, Measure.CLICK, event_key, answer.origin_key, time_ms, 1.0, None))
    tx.answers.add(answers)
    tx.outcomes.add(sorted(clicks))


def _alarms(now_ms: int) -> list[Alarm]:
    moved_ms, put_ms = now_ms - 2 * DAY_MS, now_ms - 11 * DAY_MS
    moved, put = "events moved from Cooking to Camping", "40 items of Tea were put within an hour"
    tea = "category=Tea"
    return [
        Alarm("hit_rate//2", "hit_rate", "", moved_ms + 3 * HOUR_MS, moved_ms, 0.31, 0.17, 0.15, 0.19, moved),
        Alarm("categories//1", "categories", "", moved_ms + 2 * HOUR_MS, moved_ms, 0.05, 0.21, 0.18, 0.24, moved),
        Alarm(
            *(f"new_items/{tea}/0", "new_items", tea, put_ms, put_ms - HOUR_MS, 0.02, 0.19, 0.15, 0.23, put, OLDER),
            over_ms=put_ms + DAY_MS,
            ending=AlarmEnding.RECOVERED,
        ),
    ]


def _letters(now_ms: int) -> list[DeadLetter]:
    good = b'{"user_id": "user-0007", "item_id": "tea-001", "type": "click", "event_id": "late-1"}'
    unknown = "type: wanted one of click, view, got 'wish'"
    evil = f"time: wanted a number, got {EVIL!r}"
    return [
        DeadLetter("interactions", 2, 4711, unknown, b'{"type": "wish"}', now_ms - 60 * MINUTE_MS),
        DeadLetter("interactions", 0, 4799, "the database refused it", good, now_ms - 30 * MINUTE_MS),
        DeadLetter("events.csv", 0, 18, evil, EVIL.encode(), now_ms - 20 * MINUTE_MS),
        DeadLetter("interactions", 1, 90, "wanted JSON, got bytes", b"\xff\xfe", now_ms - 10 * MINUTE_MS),
    ]
