"""Interest over time over HTTP."""

from __future__ import annotations

import pytest
from serving_doubles import NOW_MS, Api, click

DAY_MS = 86_400_000


def test_the_events_of_the_last_week_are_compared_with_the_week_before(api: Api) -> None:
    click(api, "ann", "a")
    click(api, "ann", "b", -9 * 86_400)
    reply = api.get("/v1/interests").json()
    assert (reply["period"]["events"], reply["reference"]["events"]) == (1, 1)
    assert reply["reference"]["until"] == reply["period"]["since"]
    assert [part["name"] for part in reply["segments"]] == ["user=new"]
    assert (reply["sentences"], reply["user_id"]) == ([], None)


def test_both_periods_can_be_chosen_for_one_user(api: Api) -> None:
    click(api, "ann", "a")
    click(api, "bob", "a")
    query = {"since": NOW_MS - DAY_MS, "until": NOW_MS + 1, "reference_since": NOW_MS - 3 * DAY_MS, "user_id": "ann"}
    reply = api.get("/v1/interests", params=query).json()
    assert (reply["user_id"], reply["period"]["events"], reply["segments"]) == ("ann", 1, [])
    assert reply["reference"]["until"] - reply["reference"]["since"] == pytest.approx(2 * DAY_MS, abs=600_000)


def test_the_events_of_both_periods_come_as_a_file(api: Api) -> None:
    click(api, "ann", "a")
    reply = api.get("/v1/interests", params={"format": "csv"})
    assert reply.headers["content-type"].startswith("text/csv")
    assert reply.text.splitlines()[0] == "period,segment,start,category,events"
    assert reply.text.splitlines()[1].startswith("period,,2023-11-14")


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ({"since": NOW_MS, "until": NOW_MS - 1}, 422, "since: wanted a time before the end of the period"),
        ({"since": "2011-12-01", "until": "2011-11-01"}, 422, "the period, '2011-11-01', got '2011-12-01'"),
        ({"reference_since": NOW_MS}, 422, "reference_since: wanted a time before"),
        ({"format": "pdf"}, 422, "format: wanted json or csv, got 'pdf'"),
        ({"days": "3"}, 422, "unknown field"),
        ({"user_id": "zoe"}, 404, "user 'zoe' is not known"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    api: Api, query: dict[str, object], status: int, message: str
) -> None:
    reply = api.get("/v1/interests", params=query)
    assert reply.status_code == status
    assert message in reply.json()["error"]["message"]
