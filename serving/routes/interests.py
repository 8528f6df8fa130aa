"""Interest over time over HTTP: the mix of categories of a period, compared with a reference period."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from core.clock import DAY_MS
from core.errors import InvalidInput
from core.events.interactions import check_id, shorten
from core.interests.mix import Period
from core.interests.report import InterestReport, interest_report
from core.interests.table import csv_text
from core.ports.store import Store
from serving.http.replies import ALWAYS, json_reply
from serving.http.requests import check_order, time_of
from serving.runtime.engine import Engine
from serving.schemas import interests as schemas

BOUNDS = ("since", "until", "reference_since", "reference_until")
DEFAULT_DAYS = 7
CSV_HEADERS = {**ALWAYS, "Content-Disposition": 'attachment; filename="interests.csv"'}


class InterestRoutes:
    """Reads stored counts, so that every process answers alike."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def register(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route("/v1/interests", self.get, methods=["GET"], **schemas.GET_INTEREST_REPORT)

    async def get(self, request: Request) -> Response:
        """The interests of everybody or of one user in a period, beside those of a reference period."""
        query = request.query_params
        bounds = {name: query[name] for name in BOUNDS if name in query}
        user_id = check_id("user_id", query["user_id"]) if "user_id" in query else None
        form = query.get("format", "json")
        if form not in ("json", "csv"):
            msg = f"format: wanted json or csv, got {shorten(form)}"
            raise InvalidInput(msg, field="format")
        store = self._engine.services.store
        report = await self._engine.executor.run(lambda: read_report(store, bounds, user_id=user_id))
        if form == "csv":
            return Response(csv_text(report), 200, CSV_HEADERS, "text/csv")
        return json_reply(schemas.report_out(report))


def read_report(store: Store, bounds: dict[str, str], *, user_id: str | None = None) -> InterestReport:
    """The report of a period. `bounds`: times as text by the names of `BOUNDS`, each with a default.

    By default the seven days before the newest event, and as reference the period of the same length before `since`.
    Raises `InvalidInput`, and `NotFound` for an unknown user.
    """
    times = {name: time_of(name, text) for name, text in bounds.items()}
    with store.read() as read:
        until_ms = times.get("until", (read.offsets.newest_event_ms() or 0) + 1)
        period = Period(times.get("since", until_ms - DEFAULT_DAYS * DAY_MS), until_ms)
        check_order(period.since_ms, period.until_ms, bounds)
        reference = None
        if "reference_since" in times or "reference_until" in times:
            reference_until_ms = times.get("reference_until", period.since_ms)
            reference = Period(times.get("reference_since", reference_until_ms - period.length_ms), reference_until_ms)
            check_order(reference.since_ms, reference.until_ms, bounds, prefix="reference_")
        return interest_report(read, period, reference=reference, user_id=user_id)
