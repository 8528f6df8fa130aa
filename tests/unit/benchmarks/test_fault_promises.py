"""The oracle of the fault campaign: what clients were told, as the events, outcomes and items that must be stored."""

from __future__ import annotations

import random

from benchmarks.faults.clients.promises import Promises, Shown, merged
from benchmarks.faults.embedded.__main__ import summary
from benchmarks.faults.embedded.faults import drawn


def told() -> Promises:
    """Ann clicked thrice; her guest was merged, an event undone, and Bob erased."""
    promises = Promises()
    for number, user_id in enumerate(("ann", "guest", "ann", "bob")):
        promises.events[f"e{number}"] = {"user_id": user_id, "item_id": "tent", "time": number}
    promises.merged["guest"] = "ann"
    promises.undone.add("e2")
    promises.erased.add("bob")
    return promises


def test_undone_and_erased_events_are_gone_and_a_guests_are_the_users() -> None:
    assert told().stored_events() == {"e0": ("ann", "tent", 0), "e1": ("ann", "tent", 1)}


def test_an_event_that_names_an_answer_is_an_outcome_at_its_items_position() -> None:
    promises = told()
    promises.shown["answer"] = Shown("ann", "", ("mug", "tent"), 0.0)
    for event in promises.events.values():
        event["recommendation_id"] = "answer"
    promises.events["e1"]["recommendation_id"] = "another"
    assert promises.outcomes() == {"e0": ("answer", 2)}


def test_the_promises_to_all_clients_are_one() -> None:
    other = Promises(events={"o1": {"user_id": "eve", "item_id": "mug", "time": 5}}, items={"mug": None})
    other.wrong["a user in two arms"] += 1
    whole = merged([told(), other])
    assert whole.stored_events().keys() == {"e0", "e1", "o1"}
    assert (whole.items, whole.wrong.total()) == ({"mug": None}, 1)


def test_a_seed_fixes_the_faults() -> None:
    drawn_twice = [[drawn(rng) for _ in range(50)] for rng in (random.Random(3), random.Random(3))]
    assert drawn_twice[0] == drawn_twice[1]
    assert {fault.kind for incident in drawn_twice[0] for fault in incident.faults} == {
        "kill",
        "suspend",
        "full disk",
        "wrong clock",
        "slow disk",
    }


def test_faults_that_a_machine_cannot_cause_are_not_drawn() -> None:
    rng = random.Random(3)
    faults = [fault for _ in range(100) for fault in drawn(rng, without=("slow disk",)).faults]
    assert len(faults) > 100
    assert "slow disk" not in {fault.kind for fault in faults}


def test_kills_are_counted_by_what_they_hit() -> None:
    hits = ["kill api", "kill api + suspend monitor", "kill no command", "full disk", "kill learn + kill api"]
    incidents = [{"hit": hit, "ready_s": 0.1, "unanswered_s": 0.0} for hit in hits]
    figures = summary([{"incidents": incidents, "violations": {}, "num_events": 3}])
    assert (figures["incidents"], figures["faults"], figures["kills"]) == (5, 6, {"api": 3, "learn": 1})
