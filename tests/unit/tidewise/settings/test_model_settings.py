"""The `[model]` settings decide what is trained: each part of the paper's model can be switched off, one by one."""

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
def test_a_part_is_switched_by_its_setting_alone(name: str, value: bool, field: str, seen: object) -> None:
    usual, changed = config_of().to_json(), config_of(**{name: value}).to_json()
    assert changed == {**usual, field: seen}
    assert usual[field] != seen


@pytest.mark.parametrize("name", ["idcl", "cp", "pcl"])
def test_a_loss_has_the_weight_of_its_setting_and_none_at_0(name: str) -> None:
    assert getattr(config_of(**{f"{name}_weight": 0.25}).losses, name) == 0.25
    assert getattr(config_of(**{f"{name}_weight": 0.0}).losses, name) == 0.0


def test_a_modality_that_is_left_out_has_no_tower() -> None:
    assert config_of().towers == ("id", "text")
    assert config_of(exclude_modalities="text").towers == ("id",)
    assert config_of(exclude_modalities=" id ").towers == ("text",)


@pytest.mark.parametrize("without", ["txet", "id,text"])
def test_leaving_out_what_is_none_or_everything_is_an_error_that_says_what_was_wanted(without: str) -> None:
    with pytest.raises(InvalidSettings, match=r"wanted (some of id, text|at least one modality)"):
        config_of(exclude_modalities=without)


def test_a_model_learns_with_idcl_and_without_the_losses_that_measured_nothing() -> None:
    losses = config_of().losses
    assert (losses.idcl, losses.cp, losses.pcl) == (0.1, 0.0, 0.0)


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_a_model_is_trained_for_the_answers_that_are_given_seen_items_left_out_or_not(exclude_seen: bool) -> None:
    assert model_config(Settings(recommend={"exclude_seen": exclude_seen})).hides_seen is exclude_seen  # type: ignore[arg-type]
