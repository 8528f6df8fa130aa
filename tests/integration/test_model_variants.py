"""Settings of the model reach what is trained, saved, served and fine-tuned."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from services.small_shop import settings_in

from core.events.history import History
from core.learn.tasks import Task
from tidewise.bootstrap import load_model, open_system
from tidewise.settings.schema import ModelSettings
from tidewise.training.learning import NetworkTrainer, train_model


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_repeats_are_trained_only_if_seen_items_are_recommended(
    shop_template: Path, tmp_path: Path, exclude_seen: bool
) -> None:
    folder = tmp_path / "shop"
    shutil.copytree(shop_template, folder)
    plain = settings_in(folder)
    recommend = plain.recommend.model_copy(update={"exclude_seen": exclude_seen})
    with closing(open_system(plain.model_copy(update={"recommend": recommend}))) as system:
        record = train_model(system, progress=lambda _: None)
        bundle = load_model(system.settings, record)
        with system.store.read() as read:
            columns, catalogue = (
                read.events.columns(type_codes=system.types.flagged("window")),
                read.items.catalogue(include_uncatalogued=True),
            )
    history = History(columns.items[:3], columns.times_ms[:3])
    added = bundle.bind(catalogue).repeats(history)
    if exclude_seen:
        assert added is None
    else:
        assert added is not None
        assert np.any(added), "it has learnt something"


def test_a_model_with_all_losses_and_the_now_gap_is_fine_tuned(shop_template: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    shutil.copytree(shop_template, folder)
    plain = settings_in(folder)
    chosen = {**plain.model.model_dump(), "idcl_weight": 0.1, "cp_weight": 0.1, "pcl_weight": 0.1, "now_gap": True}
    settings = plain.model_copy(update={"model": ModelSettings.model_validate(chosen)})
    system = open_system(settings)
    with system.store.read() as read:
        columns, catalogue = (
            read.events.columns(type_codes=system.types.flagged("window")),
            read.items.catalogue(include_uncatalogued=True),
        )
    middle_ms = int(np.median(columns.times_ms))
    parent = train_model(system, progress=lambda _: None, before_ms=middle_ms)
    system.close()

    trainer = NetworkTrainer(settings, tuned={}, progress=lambda _: None)
    task = Task("fine-tune", int(columns.times_ms.max()) + 1, parent.version, "a test")
    child = trainer.train(task, parent=parent, columns=columns, catalogue=catalogue)

    for record in (parent, child):
        bundle = trainer.load(record)
        encoder = bundle.bind(catalogue)
        vector = np.ones((1, encoder.width), np.float32)
        minute, day = (encoder.query(vector, np.array([gap_ms])) for gap_ms in (60_000, 86_400_000))
        assert not np.array_equal(minute, day), (
            "an answer a minute after the last event is another one than a day after"
        )
    assert child.lineage["parent"] == parent.version
