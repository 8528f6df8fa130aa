"""Calibration finds the weights by which choices were made, and keeps its defaults where there are few."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.blending.blend import COUNTS_BLEND, DEFAULT_BLEND, Blend
from core.blending.calibration import LEAST_ENCODER, MIN_CHOICES, calibrate, choice_of
from core.blending.likelihood import Choice
from core.blending.untrained import TrainingGain

TRUE = Blend(encoder=1.0, forward=0.8, backward=0.2, recent=0.5, lasting=-0.7, events=0.3)


def drawn_choices(blend: Blend, num: int, *, seed: int = 0) -> list[Choice]:
    """Choices among 20 random candidates, made by the logit of the weights."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(num, 20, 6)).astype(np.float32)
    features[:, :, 0] *= blend.encoder != 0
    scores = features @ blend.weights + random.gumbel(size=(num, 20))
    return [Choice(row, int(answer)) for row, answer in zip(features, scores.argmax(axis=1), strict=True)]


def test_calibration_recovers_the_weights_of_simulated_choices() -> None:
    assert calibrate(drawn_choices(TRUE, 4000)).weights == pytest.approx(TRUE.weights, abs=0.1)


def test_calibration_is_deterministic() -> None:
    choices = drawn_choices(TRUE, 200)
    assert calibrate(choices) == calibrate(choices)


def test_an_encoder_that_predicts_the_opposite_gets_the_least_weight() -> None:
    opposite = Blend(encoder=-1.0, forward=1.0, backward=0.5, recent=0.5, lasting=0.0, events=0.0)
    fitted = calibrate(drawn_choices(opposite, 1000))
    assert fitted.encoder == LEAST_ENCODER
    assert fitted.forward > 0.5


def misleading_choices(num: int) -> list[Choice]:
    """An encoder that tells half of the items from the others, and disturbs the order of the two that counts know.

    It makes three quarters of the answers twice as probable, far from the top of the list.
    """
    random, choices = np.random.default_rng(0), []
    for number in range(num):
        features = np.zeros((60, 6), np.float32)
        features[:, 0] = random.random(60) < 0.5
        answer = int(random.choice(np.flatnonzero(features[:, 0])))
        if number % 4 == 0:
            features[:2, 1] = 1.0, 1.2
            features[:2, 0] = random.permutation([0, 1])
            answer = int(random.random() < 0.8)
        choices.append(Choice(features, answer))
    return choices


def test_an_encoder_that_lowers_the_top_of_the_list_gets_the_least_weight() -> None:
    fitted = calibrate(misleading_choices(400))
    assert fitted.encoder == LEAST_ENCODER
    assert fitted.forward > 1


def test_counts_alone_are_fitted_as_without_an_encoder() -> None:
    """Choices whose answer only the encoder ranks high say nothing of counts."""
    choices, without = misleading_choices(400), []
    for choice in choices:
        features = choice.features.copy()
        features[:, 0] = 0
        known = choice_of(features, np.ones(len(features), np.bool_), choice.answer)
        without += [known] if known is not None else []
    assert len(without) < len(choices)
    assert calibrate(choices) == replace(calibrate(without), encoder=LEAST_ENCODER)


def test_few_choices_give_the_default_of_counts() -> None:
    assert calibrate(drawn_choices(TRUE, MIN_CHOICES - 1)) == replace(COUNTS_BLEND, encoder=LEAST_ENCODER)


def test_without_an_encoder_its_weight_is_zero() -> None:
    counts = Blend(encoder=0.0, forward=1.0, backward=0.5, recent=0.5, lasting=0.0, events=0.0)
    assert calibrate(drawn_choices(counts, 200)).encoder == 0


def test_the_prior_decides_where_features_do_not_vary() -> None:
    same = [Choice(np.ones((5, 6), np.float32), 0)] * 100
    assert calibrate(same).weights == pytest.approx(DEFAULT_BLEND.weights)


def test_a_choice_is_among_the_best_allowed_items_of_each_part() -> None:
    features = np.zeros((1000, 6), np.float32)
    features[:, 0], features[5, 1] = np.arange(1000), 1.0
    allowed = np.ones(1000, np.bool_)
    allowed[999] = False
    choice = choice_of(features, allowed, 998)
    assert choice is not None
    assert choice.features[choice.answer, 0] == 998
    assert choice.features[:, 0].max() == 998
    assert (choice.features[:, 1] == 1).any()


def test_an_event_that_no_part_ranks_high_is_no_choice() -> None:
    features = np.zeros((1000, 6), np.float32)
    features[:, 0] = np.arange(1000)
    assert choice_of(features, np.ones(1000, np.bool_), 10) is None
    assert choice_of(features, np.arange(1000) != 999, 999) is None


def choices_with_new_items(num: int) -> list[Choice]:
    """Choices by the weights `TRUE` among 20 items, 2 of them untrained.

    Training has added 9 + 2 x the feature of events to the encoder's scores, which the untrained ones lack.
    """
    choices = []
    for choice in drawn_choices(TRUE, num):
        features, trained = choice.features.copy(), np.arange(20) >= 2
        gain = np.where(trained, 9 + 2 * features[:, 5], 0).astype(np.float32)
        features[~trained, 0] -= 9 + 2 * features[~trained, 5]
        choices.append(Choice(features, choice.answer, TrainingGain(trained, gain)))
    return choices


def test_untrained_items_get_what_training_adds_to_items_of_equal_counts() -> None:
    fitted = calibrate(choices_with_new_items(2000))
    assert fitted.weights == pytest.approx(TRUE.weights, abs=0.15)
    assert fitted.untrained is not None
    assert fitted.untrained.constant == pytest.approx(9 * fitted.encoder, rel=0.02)
    assert fitted.untrained.events == pytest.approx(2 * fitted.encoder, rel=0.02)
    assert [fitted.untrained.forward, fitted.untrained.recent] == pytest.approx([0, 0], abs=0.02)


def test_nothing_is_added_where_training_adds_nothing() -> None:
    unmoved = [
        replace(choice, training=TrainingGain(np.ones(20, np.bool_), np.zeros(20, np.float32)))
        for choice in drawn_choices(TRUE, 100)
    ]
    assert calibrate(unmoved).untrained is None
    assert calibrate(drawn_choices(TRUE, 100)).untrained is None, "it is not known"
