"""Several processes train as one: the same losses, the same resumption; if one is lost, the training ends."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.catalogue.items import Catalogue
from core.errors import InvalidSettings
from core.events.history import WindowShape
from core.records.stored import EventColumns
from model.network.config import LossWeights, Modality, ModelConfig
from model.training.plan import TrainingPlan, TrainingProgress
from model.training.process_group import SINGLE, ProcessGroup
from model.training.train import train
from tidewise.training.processes import training_processes

NUM_ITEMS = 40
PLAN = TrainingPlan(epochs=2, batch_events=96, learning_rate=1e-2, warmup_steps=4, validation_share=0.1)
ALL_LOSSES = LossWeights(idcl=0.1, cp=0.1, pcl=0.1)
CONFIG = ModelConfig(
    width=8,
    inner_width=16,
    window=WindowShape(10, 3),
    contents=(Modality("text", 4),),
    dropout=0.0,
    now_gap=True,
    losses=ALL_LOSSES,
)

# Trains for ever, or waits for ever where no exception of Python's arrives, as Gloo may for a process that was killed.
KILLED_AFTER_A_SECOND = """
import os, subprocess
from threading import Event, Timer

import numpy as np

from core.catalogue.items import Catalogue
from core.records.stored import EventColumns
from model.network.config import ModelConfig
from model.training.plan import TrainingPlan
from model.training.train import train
from tidewise.training.processes import training_processes

SHOP = Catalogue(np.arange(40), tuple(map(str, range(40))), ("word",) * 40, (("all",),) * 40, np.ones(40, np.bool_))
EVENTS = EventColumns(np.repeat(np.arange(9), 20), np.arange(180) % 37, 1_300_000_000_000 + np.arange(180))
CONFIG, PLAN = ModelConfig(width=8, inner_width=16), TrainingPlan(epochs=1_000_000, batch_events=96)
started = []

class Popen(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        started.append(self)

subprocess.Popen = Popen
with training_processes(2) as group:
    Timer(1.0, started[-1].kill).start()
    {body}
"""


@pytest.fixture(scope="module")
def shop() -> Catalogue:
    """Forty items in four categories."""
    numbers = range(NUM_ITEMS)
    texts = tuple(f"word{number % 4} word{number % 7}" for number in numbers)
    categories = tuple((f"category{number % 4}",) for number in numbers)
    ids = tuple(f"item-{number}" for number in numbers)
    return Catalogue(np.arange(NUM_ITEMS), ids, texts, categories, np.ones(NUM_ITEMS, np.bool_))


@pytest.fixture(scope="module")
def events() -> EventColumns:
    """Thirty users with 2 to 31 events: windows of all lengths, and batches of a single window."""
    rng, counts = np.random.default_rng(0), np.arange(2, 32)
    users = np.repeat(np.arange(len(counts)), counts)
    times_ms = 1_300_000_000_000 + np.cumsum(rng.integers(1, 100_000, len(users)))
    return EventColumns(users, rng.integers(0, NUM_ITEMS, len(users)), times_ms)


@pytest.fixture(scope="class")
def two_processes() -> Iterator[ProcessGroup]:
    """This process and another one."""
    with training_processes(2) as group:
        yield group


class TestTwoProcesses:
    """Started once."""

    @pytest.mark.parametrize(
        ("sampled_above", "half_life"), [(50_000, 0.0), (10, 0.3)], ids=["full softmax", "sampled softmax and targets"]
    )
    def test_two_processes_have_the_losses_of_one(
        self, shop: Catalogue, events: EventColumns, two_processes: ProcessGroup, sampled_above: int, half_life: float
    ) -> None:
        plan = replace(PLAN, sampled_above=sampled_above, num_samples=16, half_life=half_life)
        losses: dict[int, list[float]] = {1: [], 2: []}
        metrics = []
        for group in (SINGLE, two_processes):
            bundle = train(
                events,
                shop,
                config=CONFIG,
                plan=plan,
                group=group,
                progress=lambda step, size=group.size: losses[size].append(step.loss),  # type: ignore[misc]
            )
            metrics.append(bundle.report["validation_history"])
        assert len(losses[1]) > 10
        assert losses[2] == pytest.approx(losses[1], rel=1e-5)
        assert metrics[1] == pytest.approx(metrics[0])

    def test_two_processes_resume_a_killed_training(
        self, shop: Catalogue, events: EventColumns, two_processes: ProcessGroup, tmp_path: Path
    ) -> None:
        config, file, copy = replace(CONFIG, dropout=0.2), tmp_path / "run", tmp_path / "after-one-epoch"

        def keep(step: TrainingProgress) -> None:
            if step.epoch == 2:
                shutil.copy(file, copy)

        whole = train(events, shop, config=config, plan=PLAN, group=two_processes, resume=file, progress=keep)
        steps: list[TrainingProgress] = []
        resumed = train(events, shop, config=config, plan=PLAN, group=two_processes, resume=copy, progress=steps.append)
        assert {step.epoch for step in steps} == {2}
        assert resumed.report["validation_history"] == pytest.approx(whole.report["validation_history"])
        for name, tensor in whole.model.state_dict().items():
            assert np.allclose(resumed.model.state_dict()[name], tensor, rtol=1e-4, atol=1e-6), name


@pytest.mark.parametrize("body", ["train(EVENTS, SHOP, config=CONFIG, plan=PLAN, group=group)", "Event().wait()"])
def test_a_killed_process_ends_the_training_and_is_named(body: str) -> None:
    program = KILLED_AFTER_A_SECOND.format(body=body)
    ended = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=100)
    assert ended.returncode == 1
    assert "training: process 1 of 0 to 1 was killed by signal 9, so all have ended" in ended.stderr


def test_more_processes_than_gpus_are_refused() -> None:
    refused = pytest.raises(InvalidSettings, match="wanted a GPU for each of 99 processes")
    with refused, training_processes(99, device="cuda"):
        pytest.fail("they were started")
