"""Outcomes over HTTP: impressions, clicks, conversions and revenue of answers."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from core.outcomes.report import GROUPINGS, UNITS, Grouping, ImpressionSource, Unit, outcome_report
from core.ports.store import Store
from serving.http.periods import days_of
from serving.http.replies import json_reply
from serving.http.requests import one_of
from serving.runtime.engine import Engine
from serving.schemas import outcomes as schemas


class OutcomeRoutes:
    """Reads the stored counts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def register(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/v1/outcomes", self.get, methods=["GET"], **schemas.GET_OUTCOMES)

    async def get(self, request: Request) -> Response:
        """Impressions, clicks, conversions and revenue of the answers of some days, by group."""
        query = request.query_params
        services = self._engine.services
        by, per = grouping_of(query.get("by", "scenario")), unit_of(query.get("per", "answer"))
        since_day, until_day = days_of(query.get("since"), query.get("until"), clock=services.clock)
        listed = int(services.snapshots.current().catalogue.listed.sum())
        report = await self._engine.executor.run(
            lambda: outcomes_document(
                services.store,
                by=by,
                since_day=since_day,
                until_day=until_day,
                impressions=services.impressions,
                num_listed=listed,
                per=per,
            )
        )
        return json_reply(report)


def outcomes_document(
    store: Store,
    *,
    by: Grouping,
    since_day: int,
    until_day: int,
    impressions: ImpressionSource,
    num_listed: int,
    per: Unit = "answer",
) -> dict[str, object]:
    """The report of some days, as `schemas.OutcomesOut`."""
    with store.read() as read:
        report = outcome_report(
            read,
            by=by,
            since_day=since_day,
            until_day=until_day,
            impressions=impressions,
            num_listed=num_listed,
            per=per,
        )
    return schemas.outcomes_out(report, impressions)


def grouping_of(text: str) -> Grouping:
    """The grouping of a text; raises `InvalidInput`."""
    return one_of("by", text, GROUPINGS)


def unit_of(text: str) -> Unit:
    """The unit that revenue is averaged over, of a text; raises `InvalidInput`."""
    return one_of("per", text, UNITS)
