"""From an alarm to a fine-tune on a real database: each alarm starts one, whose lineage names it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.events.interactions import Interaction
from core.ingestion.sources import RequestSource
from core.learn.versions import with_status
from core.records.drift import Alarm
from core.records.statuses import ModelStatus
from core.records.stored import ModelRecord
from tidewise.bootstrap import open_system
from tidewise.processes.trainer import run_due_job
from tidewise.settings.schema import Settings, load_settings

LEARN = {"learn.min_new_events": "100", "learn.drift_cooldown_minutes": "0", "learn.epochs": "1"}
GAP_MS = 60_000  # new events are counted by five minutes
ALARM = Alarm("categories//9", "categories", "", 9, 8, 0.1, 0.5, 0.4, 0.6, "from Cooking to Tea")


@pytest.fixture
def shop(shop_template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shop_template, tmp_path / "shop"))


def settings_with(folder: Path, **more: str) -> Settings:
    return load_settings(overrides={"data.folder": str(folder), **LEARN, **more}, environment={})


def goes_on(settings: Settings, *alarms: Alarm) -> None:
    """Known users click on known items, and the monitor raises alarms."""
    system = open_system(settings)
    with system.store.read() as read:
        items = [stored.item.item_id for stored in read.items.page(limit=30)]
        newest_ms = read.offsets.newest_event_ms() or 0
    times_ms = range(newest_ms + GAP_MS, newest_ms + 300 * GAP_MS, GAP_MS)
    events = [
        Interaction(f"at-{time_ms}", f"user-{number % 40 + 1:04d}", items[number % 30], "click", time_ms)
        for number, time_ms in enumerate(times_ms)
    ]
    system.ingestor.ingest(events, RequestSource("test"))
    with system.store.transaction() as tx:
        tx.drift.save_alarms(alarms)
        tx.commit()
    system.close()


def newest(settings: Settings) -> ModelRecord:
    system = open_system(settings)
    with system.store.read() as read:
        models = read.models.all()
    system.close()
    assert with_status(models, ModelStatus.CHAMPION) is not None
    return models[0]


def work(settings: Settings) -> str:
    return run_due_job(settings, progress=lambda _: None)


def test_an_alarm_starts_one_fine_tune_that_the_gate_judges(shop: Path) -> None:
    settings = settings_with(shop)
    goes_on(settings)
    assert work(settings) == "No training is due."
    goes_on(settings, ALARM)
    assert work(settings).split(":")[0] in ("promote", "refuse", "undecided")
    tuned = newest(settings)
    assert tuned.lineage["trigger"] == "drift of categories: from Cooking to Tea"
    assert len(tuned.lineage["trials"]) == 1
    assert work(settings) == "No training is due."


def test_alarms_start_no_training_if_that_is_disabled(shop: Path) -> None:
    settings = settings_with(shop, **{"learn.on_drift": "false"})
    goes_on(settings, ALARM)
    assert work(settings) == "No training is due."
