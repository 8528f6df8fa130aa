"""The sentence after a training: what serves now, why, and what to do next."""

from __future__ import annotations

from typing import Any

from core.learn.cycle import TrainingByHand
from core.learn.gate import Verdict, VerdictOutcome
from core.records.statuses import ModelStatus
from core.records.stored import ModelRecord
from tidewise.commands.learning.verdicts import conclusion


def line(name: str, outcome: VerdictOutcome, *, decides: bool = True) -> dict[str, Any]:
    """A comparison of the model called m2."""
    return {"name": name, "outcome": outcome, "decides": decides}


def training(
    status: ModelStatus, outcome: VerdictOutcome, *lines: dict[str, Any], serving: str | None = None
) -> TrainingByHand:
    verdict = Verdict(outcome, "the reason", {"compared": [{"name": "challenger"}, *lines]})
    return TrainingByHand(ModelRecord("m2", "models/m2", status, 1), verdict, serving)


def test_a_promoted_model_is_as_good_as_what_decided() -> None:
    counts = line("popularity", "promote"), line("transition counts", "promote")
    text = conclusion(training(ModelStatus.CHAMPION, "promote", *counts, serving="m2"))
    assert text == "Model m2 serves now: it is at least as good as popularity and transition counts on these events."


def test_a_champion_below_counting_comes_with_a_warning() -> None:
    lines = line("champion", "promote"), line("transition counts", "refuse", decides=False)
    text = conclusion(training(ModelStatus.CHAMPION, "promote", *lines, serving="m2"))
    assert text.startswith("Model m2 serves now: it is at least as good as the champion")
    assert text.endswith("Warning: transition counts ranked these events better. Train again with more events.")


def test_a_forced_model_says_the_verdict_that_it_overruled() -> None:
    text = conclusion(training(ModelStatus.CHAMPION, "refuse", line("popularity", "refuse"), serving="m2"))
    assert text.startswith("Model m2 serves now by --force; the gate's verdict was: refuse.")


def test_a_refused_model_names_what_is_better_and_the_next_step() -> None:
    lines = line("popularity", "promote"), line("transition counts", "refuse")
    assert conclusion(training(ModelStatus.REFUSED, "refuse", *lines)) == (
        "Model m2 is not promoted: it ranks these events worse than transition counts. "
        "Transition counts and popularity keep serving. "
        "Next: import more events and train again, or promote it regardless: `tidewise models promote m2 --force`."
    )


def test_an_undecided_model_leaves_the_champion_and_is_judged_again() -> None:
    text = conclusion(training(ModelStatus.CHALLENGER, "undecided", line("champion", "undecided"), serving="m1"))
    assert "these events do not show that it is at least as good as the champion. Model m1 keeps serving." in text
    assert text.endswith("compare it again once there are twice as many new events.")


def test_a_failed_check_or_too_few_events_are_told_by_the_gates_reason() -> None:
    text = conclusion(training(ModelStatus.CHALLENGER, "undecided", line("popularity", "promote")))
    assert text.startswith("Model m2 is not promoted: the reason. Transition counts and popularity keep serving.")
