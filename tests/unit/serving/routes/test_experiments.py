"""Experiments over HTTP: users are split, answers say their arm, and results compare the arms."""

from __future__ import annotations

from typing import Any

import pytest
from serving_doubles import NOW_MS, Api, Shop

from core.experiments.report import read_results
from core.records.stored import ModelRecord
from core.scenarios.manage import save_scenario
from serving.routes import experiments as routes

USERS = [f"user-{number}" for number in range(40)]
DEFINITION = {
    "scenario": "home",
    "arms": [{"name": "control", "share": 0.5}, {"name": "one", "share": 0.5, "scenario": "short"}],
}


@pytest.fixture
def api(api: Api) -> Api:
    """Two scenarios, and an experiment that answers half of the users under the other one."""
    api.put("/v1/scenarios/home", json={"n": 3, "exploration": {"share": 0.5}})
    api.put("/v1/scenarios/short", json={"n": 1})
    reply = api.put("/v1/experiments/test?author=ann", json=DEFINITION)
    assert reply.status_code == 200, reply.text
    return api


def answer(api: Api, user_id: str, scenario: str = "?scenario=home") -> dict[str, Any]:
    reply: dict[str, Any] = api.get(f"/v1/users/{user_id}/recommendations{scenario}").json()
    return reply


def test_users_are_split_and_keep_their_arm(api: Api) -> None:
    arms = {user: answer(api, user)["arm"] for user in USERS}
    assert set(arms.values()) == {"test/control", "test/one"}
    assert {user: answer(api, user)["arm"] for user in USERS} == arms
    together = api.post("/v1/recommendations", json={"users": USERS, "scenario": "home"}).json()["users"]
    assert {each["user_id"]: each["arm"] for each in together} == arms
    for each in together:
        assert (each["scenario"], len(each["items"])) == (("short", 1) if each["arm"] == "test/one" else ("home", 3))


def test_other_answers_are_in_no_arm(api: Api) -> None:
    assert "arm" not in answer(api, "user-1", "")
    assert "arm" not in answer(api, "user-1", "?scenario=short")
    session = api.post("/v1/recommendations", json={"events": [{"item_id": "a"}], "scenario": "home"}).json()
    assert (session["scenario"], "arm" in session) == ("home", False)
    assert api.get("/v1/users/user-1/recommendations?scenario=shop").status_code == 422


def test_results_count_users_of_remembered_answers(api: Api, shop: Shop) -> None:
    answers = [answer(api, user) for user in USERS]
    for user, first in zip(USERS, answers, strict=True):
        click = {"user_id": user, "item_id": first["items"][0]["item_id"], "type": "click", "time": NOW_MS}
        api.post("/v1/interactions", json=click | {"recommendation_id": first["recommendation_id"]})
    shop.answers.flush()
    results = api.get("/v1/experiments/test/results").json()
    control, one = results["arms"]
    assert control["users"] + one["users"] == control["answers"] + one["answers"] == len(USERS)
    assert control["expected_users"] == one["expected_users"] == len(USERS) / 2
    assert control["metrics"]["click_through_rate"] == {"value": pytest.approx(1 / 3)}
    assert one["metrics"]["click_through_rate"]["value"] == 1
    assert one["metrics"]["click_through_rate"]["judgement"] == "too few"
    assert one["metrics"]["conversions_per_user"]["lift"] is None
    assert (results["sample_ratio"], results["state"], len(results["days"])) == ("as planned", "running", 1)
    with shop.store.read() as read:
        stored = read.answers.by_key([bytes.fromhex(first["recommendation_id"]) for first in answers])
    explored = [each.propensities for each in stored.values() if len(each.item_keys) == 3]
    assert all(each is not None and min(each) < 1 for each in explored), "propensities are logged"


def test_an_experiment_is_listed_stopped_and_deleted(api: Api, shop: Shop) -> None:
    listed = api.get("/v1/experiments").json()["experiments"]
    assert [(each["name"], each["author"], each["state"]) for each in listed] == [("test", "ann", "running")]
    assert api.get("/v1/experiments/test").json() == listed[0]
    stopped = api.post("/v1/experiments/test/stop").json()
    assert (stopped["revision"], stopped["definition"]["end"]) == (2, shop.clock.now_ms())
    assert "arm" not in answer(api, "user-1")
    assert api.post("/v1/experiments/test/stop").json() == stopped, "once is enough"
    assert api.get("/v1/experiments/test/results").json()["state"] == "ended"
    assert api.delete("/v1/experiments/test").json()["definition"] is None
    for path in ("", "/results"):
        assert api.get(f"/v1/experiments/test{path}").status_code == 404


def test_answers_of_the_last_moment_stay_in_the_results(api: Api, shop: Shop) -> None:
    """Where an old log is replayed, time stands still between two events."""
    arms = [answer(api, user)["arm"] for user in USERS]
    shop.answers.flush()
    api.post("/v1/experiments/test/stop")
    results = api.get("/v1/experiments/test/results").json()["arms"]
    assert sum(arm["answers"] for arm in results) == len(arms)


def test_an_unchanged_experiment_is_no_revision(api: Api) -> None:
    assert api.put("/v1/experiments/test", json=DEFINITION).json()["revision"] == 1


def test_an_experiment_that_was_stopped_starts_anew(api: Api, shop: Shop) -> None:
    first = api.get("/v1/experiments/test").json()["definition"]["start"]
    shop.clock.advance(by_ms=60_000)
    stopped = api.post("/v1/experiments/test/stop").json()["definition"]
    named = api.put("/v1/experiments/test", json={**DEFINITION, "end": stopped["end"], "description": "done"}).json()
    assert named["definition"]["start"] == first, "a change of its description does not reopen it"
    again = api.put("/v1/experiments/test", json=DEFINITION).json()
    assert again["definition"]["start"] == first + 60_000


def test_arms_answer_with_their_models(api: Api, shop: Shop) -> None:
    with shop.store.transaction() as tx:
        tx.models.save(ModelRecord("axes-2", "axes-2", "challenger", NOW_MS))
        tx.commit()
    api.post("/v1/interactions", json={"events": [{"user_id": user, "item_id": "a"} for user in USERS]})
    arms = [{"name": "control", "share": 0.5}, {"name": "new", "share": 0.5, "model": "axes-2", "scenario": "short"}]
    assert api.put("/v1/experiments/models", json={"arms": arms}).status_code == 200
    before = [answer(api, user, "") for user in USERS[:2]]
    assert all("arm" not in each for each in before), "its model is not loaded yet"
    shop.snapshots.refresh()
    versions = {"models/control": "axes-1", "models/new": "axes-2"}
    answers = [answer(api, user, "") for user in USERS]
    assert {each["arm"]: each["model_version"] for each in answers} == versions
    assert {each["arm"]: len(each["items"]) for each in answers} == {"models/control": 5, "models/new": 1}
    results = api.get("/v1/experiments/models/results").json()
    assert [each["model"] for each in results["arms"]] == ["", "axes-2"]
    api.post("/v1/experiments/models/stop")
    shop.snapshots.refresh()
    assert shop.snapshots.current().of("axes-2") is None, "unloaded"
    assert "arm" not in answer(api, USERS[0], "")


def test_a_wrong_definition_names_the_field(api: Api) -> None:
    reply = api.put("/v1/experiments/new", json=DEFINITION)
    assert (reply.status_code, reply.json()["error"]["field"]) == (422, "scenario")
    reply = api.put("/v1/experiments/new", json={"arms": []})
    assert (reply.status_code, reply.json()["error"]["field"]) == (422, "arms")


def test_expensive_results_are_reused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    times, calls = iter(range(0, 1_000, 2)), []  # each look at the clock is two seconds later

    def read(*given: Any, **options: Any) -> Any:
        calls.append(given)
        return read_results(*given, **options)

    monkeypatch.setattr(routes, "monotonic", lambda: float(next(times)))
    monkeypatch.setattr(routes, "read_results", read)
    for _ in range(10):
        api.get("/v1/experiments/test/results")
    assert len(calls) == 1


def test_a_scenario_that_another_process_stored_just_now_is_known(api: Api, shop: Shop) -> None:
    save_scenario(shop.store, "fresh", {"n": 2}, author="ann")
    assert api.put("/v1/experiments/next", json=DEFINITION | {"scenario": "fresh"}).status_code == 200
