"""`tidewise train`: what it promotes, what it does not, what it prints, and what the lineage keeps."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from core.errors import NotReady
from tidewise.bootstrap import open_system
from tidewise.cli import app
from tidewise.settings.schema import load_settings
from tidewise.training.recipe import save_choices

NUM_USERS, NUM_ITEMS, PER_USER = 30, 40, 20
SETTINGS = {
    "clock.mode": "stream",
    "recommend.blend": "false",  # the encoder alone
    "model.width": "16",
    "model.layers": "1",
    "model.experts": "2",
    "train.threads": "1",
    "train.epochs": "12",
    "train.learning_rate": "0.02",
}
UNTRAINED = {"train.epochs": "1", "train.learning_rate": "1e-12"}
NEXT_ITEM: dict[str, Callable[[int, int], int]] = {
    "own": lambda user, step: user,  # each user has an item; counts know no repeats
    "ring": lambda user, step: (user + step) % NUM_ITEMS,  # from each item to the next: counts are always right
}
Train = Callable[..., Result]


@pytest.fixture(params=["ring"])
def train(request: pytest.FixtureRequest, tmp_path: Path) -> Train:
    """Runs `tidewise train` on a log whose items follow each other as the parameter says."""
    item, exclude_seen = NEXT_ITEM[request.param], str(request.param == "ring").lower()
    rows = [
        f"u{user},i{item(user, step)},{1_700_000_000 + step * NUM_USERS + user}"
        for step in range(PER_USER)
        for user in range(NUM_USERS)
    ]
    (tmp_path / "events.csv").write_text("\n".join(["user,item,time", *rows]) + "\n")
    (tmp_path / "items.csv").write_text("item_id,title\n" + "".join(f"i{n},\n" for n in range(NUM_ITEMS)))

    def run(*words: str, **changed: str) -> Result:
        settings = {**SETTINGS, "recommend.exclude_seen": exclude_seen, **changed}
        sets = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
        return CliRunner().invoke(app, [*words, *sets, "--data", str(tmp_path / "data")], catch_exceptions=False)

    files = ("--events", str(tmp_path / "events.csv"), "--items", str(tmp_path / "items.csv"))
    imported = run("import", *files, "--columns", "user,item,time", "--time-unit", "s")
    assert imported.exit_code == 0, imported.output
    return lambda *words, **changed: run("train", *words, **changed)


def report_of(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def test_a_model_below_counting_is_not_promoted_and_the_output_says_why(train: Train) -> None:
    result = train(**UNTRAINED)
    assert result.exit_code == 0, result.output
    for expected in (
        "On 200 of the newest events, by 30 users",
        "popularity",
        "is not promoted: it ranks these events worse than",
        "transition counts. Transition counts and popularity keep serving.",
        "Next: import more events and train again, or promote it regardless: `tidewise models promote hm4sr-",
    ):
        assert expected in result.stdout
    assert "Training on 400 events; the 200 newest are held out for the gate." in result.stderr
    assert "A training takes at most 10 minutes (train.max_minutes)." in result.stderr


def test_figures_of_a_refused_model_are_kept_with_it(train: Train) -> None:
    report = report_of(train("--json", **UNTRAINED))
    assert (report["status"], report["serving"], report["verdict"]["outcome"]) == ("refused", None, "refuse")
    (trial,) = report["lineage"]["trials"]
    assert trial["compared"] == report["verdict"]["compared"]
    figures = {line["name"]: line["ndcg_10"]["mean"] for line in trial["compared"]}
    assert figures["transition counts"] > 0.9 > figures["challenger"]


def test_force_promotes_it_and_says_so(train: Train) -> None:
    report = report_of(train("--force", "--json", **UNTRAINED))
    assert (report["status"], report["serving"]) == ("champion", report["version"])
    assert "serves now by --force; the gate's verdict was: refuse." in report["conclusion"]
    assert "Warning: " in report["conclusion"]


@pytest.mark.parametrize("train", ["own"], indirect=True)
def test_a_model_better_than_counting_is_promoted(train: Train) -> None:
    result = train("--json")
    report = report_of(result)
    assert (report["status"], report["serving"]) == ("champion", report["version"])
    assert "The training takes about 0." in result.stderr
    assert report["conclusion"].endswith(
        "serves now: it is at least as good as popularity and transition counts on these events."
    )


@pytest.mark.parametrize("train", ["own"], indirect=True)
def test_tuning_tries_what_is_not_set_and_says_what_it_keeps(train: Train) -> None:
    result = train("--tune", "--tune-minutes", "0.5", **{"model.fused_id": "false", "model.idcl_weight": "0.1"})
    assert result.exit_code == 0, result.output
    assert (
        "Tuning: 2 trainings of at most 0.1 minutes on 200 events, compared on 200 after them; 0.5 minutes in all."
        in (result.stderr)
    )
    for expected in ("On 200 of the newest events before those of the gate, by 30 users", "the settings as they are"):
        assert expected in result.stdout
    kept = "Full trainings use train.recency_half_life = 0.3 from now on." in result.stdout
    assert kept != ("No change was better: the settings stay." in result.stdout)
    assert kept == ("Tuning has chosen train.recency_half_life = 0.3." in result.stderr)


def test_tuning_names_what_it_has_no_time_for(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    minutes = itertools.count(step=60)  # one passes at each look at the clock
    monkeypatch.setattr("tidewise.training.tuning.time", SimpleNamespace(monotonic=lambda: next(minutes)))
    result = train("--tune", "--tune-minutes", "1", **{"model.idcl_weight": "0.1"}, **UNTRAINED)
    assert "No time for: model.fused_id = false; train.recency_half_life = 0.3 (--tune-minutes)." in result.stdout
    assert "No change was better: the settings stay." in result.stdout


def test_a_training_uses_what_tuning_chose_unless_it_is_set(train: Train, tmp_path: Path) -> None:
    with open_system(load_settings(overrides={"data.folder": tmp_path / "data", "clock.mode": "stream"})) as system:
        save_choices(system.store, {"train.recency_half_life": 0.3})
    chosen = train("--json", **UNTRAINED)
    assert "Tuning has chosen train.recency_half_life = 0.3." in chosen.stderr
    given = train("--json", **UNTRAINED, **{"train.recency_half_life": "0"})
    assert "Tuning has chosen" not in given.stderr
    assert [report_of(result)["lineage"]["tuned"] for result in (chosen, given)] == [
        {"train.recency_half_life": 0.3},
        {},
    ]


def test_tuning_needs_enough_events_to_compare_by(train: Train) -> None:
    with pytest.raises(NotReady, match="wanted at least 100 newest events to compare by, got 50; train without it"):
        train("--tune", "--before", "1700000100000")
