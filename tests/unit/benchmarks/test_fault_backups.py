"""The oracle of backups made during traffic: what clients were told before, and what they sent after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.faults.clients.backups import TrafficMoment, event_violations, moment_of
from benchmarks.faults.clients.calls import Outages
from benchmarks.faults.clients.comparison import event_key
from benchmarks.faults.clients.promises import Promises
from benchmarks.faults.clients.shop_client import ShopClient
from benchmarks.faults.ledger import Ledger, LedgerRecords


def event(user_id: str) -> dict[str, object]:
    return {"user_id": user_id, "item_id": "tent", "time": 5}


TOLD = Promises(events={name: event("ann") for name in ("before", "undone", "later")}, undone={"undone"})
BEGAN = TrafficMoment(stored=frozenset({"before"}), gone=frozenset({"undone"}))


def violated(stored: Sequence[str], began: TrafficMoment = BEGAN) -> set[str]:
    violations = event_violations({event_key(name) for name in stored}, began, TOLD, ["after"])
    return {promise for promise, num in violations.items() if num}


@pytest.mark.parametrize("stored", [["before"], ["before", "later"]])
def test_events_sent_while_a_backup_is_made_may_be_in_it(stored: list[str]) -> None:
    assert violated(stored) == set()


@pytest.mark.parametrize(
    ("stored", "promise"),
    [
        ([], "missing in the backup"),
        (["before", "undone"], "undone or erased, but in the backup"),
        (["before", "after"], "sent after the backup, but in it"),
    ],
)
def test_a_backup_of_another_moment_is_reported(stored: list[str], promise: str) -> None:
    assert violated(stored) == {promise}


def test_an_event_that_was_undone_while_a_backup_was_made_may_be_missing() -> None:
    assert violated([], TrafficMoment(stored=frozenset({"undone"}))) == set()


def client() -> ShopClient:
    return ShopClient(0, [], items=[], seed=1, outages=Outages())


def test_a_moment_divides_events_into_stored_and_gone() -> None:
    shopper = client()
    shopper.promises = Promises(
        events={"e1": event("ann"), "e2": event("ann"), "e3": event("bob")}, undone={"e2"}, erased={"bob"}
    )
    moment = moment_of([shopper])
    assert (moment.stored, moment.gone) == ({"e1"}, {"e2", "e3"})


def test_the_events_of_a_client_after_a_moment_have_the_numbers_above_it() -> None:
    shopper = client()
    shopper.num_made = 4
    assert shopper.events_since(2) == ["shopper-0-3", "shopper-0-4"]


def test_a_ledger_is_read_as_it_was_at_a_moment(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with Ledger(path) as ledger:
        ledger.sent("e1", "ann", "tent", 1)
        sizes = moment_of([], [path, tmp_path / "none yet"]).sizes
        ledger.acknowledged("e1", 1)
        ledger.sent("e2", "ann", "tent", 2)
    records = LedgerRecords.read_until(sizes)
    assert (set(records.sent), len(records.acknowledged)) == ({"e1"}, 0)
