"""The progress of ingestion over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from serving_doubles import NOW_MS, Api, Shop, click

from core.errors import StreamUnavailable
from core.events.interactions import Interaction
from core.ingestion.sources import StreamSource
from serving.app import create_app


class NamedLog:
    """A log that has a name and takes nothing."""

    name = "interactions"

    def publish(self, events: Sequence[Interaction]) -> Sequence[object]:
        msg = "the log is away"
        raise StreamUnavailable(msg)


def test_without_a_log_ingestion_lists_the_writers(api: Api) -> None:
    click(api, "ann", "a", 5)
    body = api.get("/v1/ingestion").json()
    assert (body["topic"], body["lag"], body["problem"]) == (None, None, None)
    assert [(writer["name"], writer["newest_event"]) for writer in body["writers"]] == [("http", NOW_MS + 5000)]


def test_every_partition_of_the_log_has_its_lag(shop: Shop) -> None:
    source = StreamSource("interactions", 1, [7], 7, 7)
    shop.services.ingestor.ingest([Interaction("e", "ann", "a", "click", NOW_MS)], source)

    def ends(applied: Mapping[int, int]) -> Mapping[int, tuple[int, int]]:
        return {0: (0, 4), 1: (applied[1] + 1, 10)}

    with Api(create_app(shop.with_services(log=NamedLog(), log_end_offsets=ends))) as api:
        body = api.get("/v1/ingestion").json()
    lags = {writer["partition"]: (writer["applied_offset"], writer["lag"]) for writer in body["writers"]}
    assert (body["topic"], body["lag"], lags) == ("interactions", 6, {1: (7, 2), 0: (None, 4)})


def test_an_unavailable_log_is_a_problem_in_the_answer(shop: Shop) -> None:
    def away(_applied: Mapping[int, int]) -> Mapping[int, tuple[int, int]]:
        msg = "no broker answers"
        raise StreamUnavailable(msg)

    with Api(create_app(shop.with_services(log=NamedLog(), log_end_offsets=away))) as api:
        reply = api.get("/v1/ingestion")
    assert (reply.status_code, reply.json()["lag"], reply.json()["problem"]) == (200, None, "no broker answers")
