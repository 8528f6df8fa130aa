"""The recipe of a full training: what is set, else what tuning chose, else the default."""

from __future__ import annotations

from doubles import MemoryStore

from tidewise.settings.schema import Settings, load_settings
from tidewise.training.recipe import chosen, is_set, save_choices, text_of, with_choices
from tidewise.training.tuning import changes_of

CHOICES = {"model.fused_id": True, "train.recency_half_life": 0.3}


def given(**settings: object) -> Settings:
    return load_settings(overrides={name.replace("__", "."): value for name, value in settings.items()}, environment={})


def test_choices_change_the_settings_that_they_name() -> None:
    settings = with_choices(Settings(), CHOICES)
    assert (settings.model.fused_id, settings.train.recency_half_life) == (True, 0.3)
    assert settings.model.width == Settings().model.width


def test_a_given_setting_wins_over_a_choice_even_with_the_default_value() -> None:
    settings = given(model__fused_id="false")
    assert is_set(settings, "model.fused_id")
    assert not is_set(settings, "train.recency_half_life")
    store = MemoryStore()
    save_choices(store, CHOICES)
    assert chosen(settings, store) == {"train.recency_half_life": 0.3}
    assert chosen(Settings(), store) == CHOICES


def tried(settings: Settings, *, fuses_ids: bool = False) -> list[tuple[str, object]]:
    return [choice for change in changes_of(settings, fuses_ids=fuses_ids) for choice in change.items()]


def test_tuning_changes_one_setting_at_a_time_and_none_that_is_given() -> None:
    assert [name for name, _ in tried(given(model__width="48", model__idcl_weight="0"))] == [
        "model.fused_id",
        "train.recency_half_life",
    ]
    assert [width for name, width in tried(Settings()) if name == "model.width"] == [32, 128]


def test_tuning_tries_the_opposite_of_what_a_training_decides() -> None:
    assert tried(Settings(), fuses_ids=True)[0] == ("model.fused_id", False)
    assert tried(Settings(), fuses_ids=False)[0] == ("model.fused_id", True)


def test_a_width_that_heads_do_not_divide_is_not_tried() -> None:
    assert [width for name, width in tried(given(model__heads="64")) if name == "model.width"] == [128]


def test_choices_read_as_lines_of_a_settings_file() -> None:
    assert text_of(CHOICES) == "model.fused_id = true, train.recency_half_life = 0.3"
