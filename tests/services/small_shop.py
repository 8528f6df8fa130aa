"""A small simulated shop with a trained model, made once for a whole test run and copied by each test."""

from __future__ import annotations

from pathlib import Path

from tidewise.bootstrap import open_system
from tidewise.demo.demo import fill
from tidewise.demo.simulator import Shop, simulate_shop
from tidewise.settings.schema import CONFIG_NAME, Settings, load_settings
from tidewise.training.learning import train_model

SETTINGS = """
[window]
size = 12
step = 4

[model]
width = 16
layers = 1
experts = 2
text_dim = 16

[train]
epochs = 2
threads = 1
"""
WINDOW_SIZE, WINDOW_STEP = 12, 4
END_MS = 1_700_000_000_000  # long ago, so that what tests add lies in the past too


def settings_in(folder: Path) -> Settings:
    """The settings of the shop in a folder: its `tidewise.toml`, which every command there reads."""
    return load_settings(overrides={"data.folder": str(folder)}, environment={})


def simulated() -> Shop:
    """40 users, 336 items, some 700 events."""
    return simulate_shop(seed=3, num_users=40, num_items=336, days=20, live_days=1, end_ms=END_MS)


def build(folder: Path) -> None:
    """The shop, and a champion trained on it."""
    folder.mkdir()
    (folder / CONFIG_NAME).write_text(SETTINGS)
    with open_system(settings_in(folder)) as system:
        fill(system, simulated())
        train_model(system, progress=lambda _: None)
