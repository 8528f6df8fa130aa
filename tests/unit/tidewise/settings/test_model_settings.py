"""The `[model]` settings: each part of the paper's model has a switch or a weight."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidSettings
from model.network.config import ModelConfig
from tidewise.settings.schema import Settings
from tidewise.training.plans import model_config


def config_of(**model: Any) -> ModelConfig:
    return model_config(Settings(model=model))


@pytest.mark.parametrize(
    ("name", "value", "field", "seen"),
    [
        ("interactive_moe", False, "interactive_moe", False),
        ("temporal_moe", False, "temporal_moe", False),
        ("time_gaps", False, "gaps", "off"),
        ("absolute_time", False, "absolute_time", False),
        ("now_gap", True, "now_gap", True),
    ],
)
def test_each_part_of_the_model_has_its_own_switch(name: str, value: bool, field: str, seen: object) -> None:
    usual, changed = config_of().to_json(), config_of(**{name: value}).to_json()
    assert changed == {**usual, field: seen}
    assert usual[field] != seen


@pytest.mark.parametrize("name", ["idcl", "cp", "pcl"])
def test_each_loss_has_the_weight_of_its_setting(name: str) -> None:
    assert getattr(config_of(**{f"{name}_weight": 0.25}).losses, name) == 0.25
    assert getattr(config_of(**{f"{name}_weight": 0.0}).losses, name) == 0.0


def test_an_excluded_modality_has_no_tower() -> None:
    assert config_of().towers == ("id", "text")
    assert config_of(exclude_modalities="text").towers == ("id",)
    assert config_of(exclude_modalities=" id ").towers == ("text",)


@pytest.mark.parametrize("without", ["txet", "id,text"])
def test_excluding_unknown_or_all_modalities_is_an_error(without: str) -> None:
    with pytest.raises(InvalidSettings, match=r"wanted (some of id, text|at least one modality)"):
        config_of(exclude_modalities=without)


def test_by_default_only_the_idcl_loss_is_on() -> None:
    losses = config_of().losses
    assert (losses.idcl, losses.cp, losses.pcl) == (0.1, 0.0, 0.0)


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_training_follows_the_exclude_seen_setting(exclude_seen: bool) -> None:
    assert model_config(Settings(recommend={"exclude_seen": exclude_seen})).hides_seen is exclude_seen  # type: ignore[arg-type]
