"""Timelines over HTTP."""

from __future__ import annotations

import pytest
from serving_doubles import NOW_MS, Api, click

HOUR_MS = 3_600_000


def test_posted_events_are_counted_by_type(api: Api) -> None:
    click(api, "ann", "a")
    click(api, "ann", "b", 0, "view")
    reply = api.get("/v1/timeline", params={"since": NOW_MS - HOUR_MS, "until": NOW_MS + 1}).json()
    assert reply["step_ms"] == 300_000
    assert {name: sum(nums) for name, nums in reply["events"].items()} == {"click": 1, "view": 1}
    assert [len(nums) for nums in reply["events"].values()] == [len(reply["time"])] * 2


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            {"since": NOW_MS},
            f"since: wanted a time before the end of the period, 2023-11-14 22:13:20 UTC, got '{NOW_MS}'",
        ),
        ({"since": "monday"}, "since: wanted integer milliseconds"),
        ({"from": "1"}, "unknown field; known fields are since, until"),
    ],
)
def test_a_period_that_makes_no_sense_is_422(api: Api, query: dict[str, object], message: str) -> None:
    reply = api.get("/v1/timeline", params=query)
    assert reply.status_code == 422
    assert message in reply.json()["error"]["message"]
