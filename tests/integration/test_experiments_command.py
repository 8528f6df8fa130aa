"""`tidewise experiments`: store, list, results and stop on a database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from integration.test_scenarios_command import run
from services.small_shop import settings_in

from core.catalogue.items import Item
from core.errors import InvalidInput, NotFound
from core.manage import save_items
from core.ports.store import Store
from core.records.outcomes import Measure, Origin, Outcome, StoredAnswer, first_key_at
from serving.schemas.experiments import ResultsOut
from tidewise.bootstrap import open_system

DEFINITION = {"arms": [{"name": "control", "share": 0.5}, {"name": "cart", "share": 0.5, "scenario": "cart"}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A shop with one scenario in its settings file."""
    with open_system(settings_in(tmp_path)) as system:
        save_items(system.store, [Item("a")])
    (tmp_path / "tidewise.toml").write_text("[scenarios.cart]\nn = 1\n")
    return tmp_path


def store_clicks(store: Store, *, now_ms: int, num_users: int = 200) -> None:
    """An answer with two items to each user; every other user clicks the first."""
    with store.transaction() as tx:
        origin_key = tx.answers.name_origins([Origin()])[Origin()]
        keys = [first_key_at(now_ms)[:-2] + number.to_bytes(2, "big") for number in range(num_users)]
        tx.answers.add([StoredAnswer(key, key.hex(), now_ms, origin_key, (1, 2)) for key in keys])
        tx.outcomes.add([Outcome(key, 1, Measure.CLICK, key, origin_key, now_ms, 1.0, None) for key in keys[::2]])
        tx.commit()


def test_an_experiment_is_stored_listed_read_stopped_and_deleted(folder: Path) -> None:
    assert "revision 1  stored" in run(folder, "experiments", "put", "test", "-", stdin=json.dumps(DEFINITION))
    assert ": store experiment test" in run(folder, "audit")
    assert run(folder, "experiments", "list").split()[:3] == ["test", "running", "revision"]
    [listed] = run(folder, "experiments", "list", "--json")["experiments"]
    assert "start" in listed["definition"]
    lines = run(folder, "experiments", "results", "test").splitlines()
    assert [line.split()[0] for line in lines] == ["control", "cart"]
    assert lines[1].endswith("too few users yet")
    results = run(folder, "experiments", "results", "test", "--json")
    assert results["arms"][1]["metrics"]["click_through_rate"]["judgement"] == "too few"
    assert results["sample_ratio"] == "as planned"
    assert results.keys() == set(ResultsOut.model_fields), "one form, that of the API"
    run(folder, "experiments", "stop", "test")
    assert "ended" in run(folder, "experiments", "list")
    assert "revision 3  deleted" in run(folder, "experiments", "delete", "test")
    with pytest.raises(NotFound, match="'test'"):
        run(folder, "experiments", "results", "test")


def test_an_arm_without_answers_has_a_dash_and_null(folder: Path) -> None:
    run(folder, "experiments", "put", "test", "-", stdin=json.dumps(DEFINITION))
    line = run(folder, "experiments", "results", "test").splitlines()[0]
    assert line.split() == ["control", "0", "users", "click_through_rate", "-", "control"]
    arm = run(folder, "experiments", "results", "test", "--json")["arms"][1]
    assert arm["metrics"]["click_through_rate"]["lift"] is None


def test_an_unknown_scenario_is_refused(folder: Path) -> None:
    arms = [DEFINITION["arms"][0], {"name": "b", "share": 0.5, "scenario": "shop"}]
    with pytest.raises(InvalidInput, match="wanted a known name, got 'shop'"):
        run(folder, "experiments", "put", "test", "-", stdin=json.dumps({"arms": arms}))


def test_a_plan_says_how_many_users_a_lift_needs(folder: Path) -> None:
    planned = run(folder, "experiments", "plan", "--lift", "0.2", "--rate", "0.05", "--users-per-day", "1000", "--json")
    assert planned["users"] == pytest.approx(32_000, rel=0.1)
    assert (planned["days"], planned["rate_from"]) == (-(-planned["users"] // 1000), "option")
    line = run(folder, "experiments", "plan", "--rate", "0.05", "--metric", "conversions_per_user")
    assert "users in 2 arms find +10.0% of conversions_per_user 0.0500 with 80%" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--rate: wanted a rate such as 0.05, because too few outcomes are stored"),
        (("--rate", "5"), "--rate: wanted a number above 0 and below 1, got 5"),
        (("--rate", "0.05", "--lift", "0"), "--lift: difference: wanted a finite number other than 0"),
        (("--rate", "10", "--metric", "revenue_per_user"), "--rate: wanted none for revenue_per_user"),
        (("--rate", "1.5", "--metric", "conversions_per_user"), "takes each user to convert at most once"),
        (("--rate", "0.9", "--lift", "0.5"), r"--lift: wanted a metric from 0 to 1 with the change, got 1\.35"),
        (("--rate", "0.9", "--lift", "-2"), r"--lift: wanted a metric from 0 to 1 with the change, got -0\.9"),
    ],
)
def test_a_plan_without_what_it_needs_is_refused(folder: Path, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        run(folder, "experiments", "plan", *words)


def test_a_plan_takes_the_rate_and_the_users_of_the_stored_outcomes(folder: Path) -> None:
    with open_system(settings_in(folder)) as system:
        store_clicks(system.store, now_ms=system.clock.now_ms())
    planned = run(folder, "experiments", "plan", "--json")
    assert (planned["rate"], planned["rate_from"]) == (0.25, "outcomes")
    assert planned["users_per_day"] == pytest.approx(200, abs=1)


@pytest.fixture
def exploring(folder: Path) -> Path:
    """A shop that showed each of 600 users one of three items at random: c is clicked by three of four."""
    names = "abc"
    with open_system(settings_in(folder)) as system:
        save_items(system.store, [Item(name, attributes={"brand": name}) for name in names])
        now_ms = system.clock.now_ms()
        with system.store.transaction() as tx:
            catalogue = tx.items.catalogue()
            keys = [int(catalogue.keys[catalogue.row_of(name)]) for name in names]
            origin_key = tx.answers.name_origins([Origin("random")])[Origin("random")]
            answers = [
                StoredAnswer(
                    first_key_at(now_ms)[:-2] + number.to_bytes(2, "big"),
                    f"user-{number}",
                    now_ms,
                    origin_key,
                    (keys[number % 3],),
                    (1 / 3,),
                )
                for number in range(600)
            ]
            tx.answers.add(answers)
            clicked = [each.key for number, each in enumerate(answers) if number % 3 == 2 and number % 4]
            tx.outcomes.add([Outcome(key, 1, Measure.CLICK, key, origin_key, now_ms, 1 / 3, None) for key in clicked])
            tx.commit()
    run(folder, "scenarios", "put", "random", "-", stdin='{"exploration": {"share": 1}}')
    run(folder, "scenarios", "put", "only-c", "-", stdin='{"where": {"brand": "c"}}')
    return folder


def test_an_estimate_says_what_a_scenario_would_have_earned(exploring: Path) -> None:
    [found] = run(exploring, "experiments", "estimate", "only-c", "--on", "random", "--json")["estimates"]
    assert (found["scenario"], found["users"]) == ("only-c", 600)
    assert found["logged"]["mean"] == pytest.approx(0.25)
    for estimator in ("ips", "snips", "dr"):
        assert found[estimator]["mean"] == pytest.approx(0.75, abs=0.02)
        assert found[estimator]["low"] > found["logged"]["high"]
    assert found["coverage"] == pytest.approx(1)
    lines = run(exploring, "experiments", "estimate", "only-c", "--on", "random").splitlines()
    assert [line.split()[1] for line in lines] == ["as", "ips", "snips", "dr"]


def test_the_scenarios_of_an_experiments_arms_are_estimated(exploring: Path) -> None:
    arms = [{"name": "control", "share": 0.5}, {"name": "c", "share": 0.5, "scenario": "only-c"}]
    definition = json.dumps({"scenario": "random", "arms": arms})
    run(exploring, "experiments", "put", "test", "-", stdin=definition)
    estimates = run(exploring, "experiments", "estimate", "test", "--json")
    assert (estimates["on"], [each["scenario"] for each in estimates["estimates"]]) == ("random", ["only-c"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("only-c",), "--on: wanted the scenario whose answers are read, because 'only-c' is no experiment"),
        (("only-c", "--on", "cart"), "scenario 'cart': wanted answers with propensities below 1 to at least 100 users"),
        (("nothing", "--on", "random"), "scenario: wanted a known name, got 'nothing'"),
        (("own", "--on", "random"), "scenario: wanted one without conditions on users, got 'own'"),
    ],
)
def test_an_estimate_without_what_it_needs_is_refused(exploring: Path, words: tuple[str, ...], message: str) -> None:
    run(exploring, "scenarios", "put", "own", "-", stdin='{"where": {"user.plan": "premium"}}')
    with pytest.raises(InvalidInput, match=message):
        run(exploring, "experiments", "estimate", *words)
