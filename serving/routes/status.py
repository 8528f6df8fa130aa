"""Health, readiness, status, activity and metrics over HTTP."""

from __future__ import annotations

import asyncio
import time

from fastapi import APIRouter, Request, Response

from core.errors import NotReady, TidewiseError
from core.recommendation.snapshots.snapshot import ServingSnapshot
from serving.http.replies import json_reply
from serving.runtime.engine import Engine
from serving.runtime.metrics import CONTENT_TYPE
from serving.runtime.store_counts import StoreCounts
from serving.schemas import status as schemas

WRITE_TIMEOUT_S = 2.0
PROBE_PERIOD_S = 0.5  # between two write transactions of readiness, which needs no key
Check = dict[str, object]


class StatusRoutes:
    """What probes, Prometheus and the dashboard's overview read."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = engine.services
        self._counts = StoreCounts(engine.services.wall)
        self._probe: asyncio.Task[None] | None = None
        self._probed_s = 0.0

    def register(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/health", self.health, methods=["GET"], **schemas.GET_HEALTH)
        router.add_api_route("/ready", self.ready, methods=["GET"], **schemas.GET_READY)
        for path, probe in (("/health", self.health), ("/ready", self.ready)):
            router.add_api_route(path, probe, methods=["HEAD"], include_in_schema=False)
        router.add_api_route("/v1/status", self.status, methods=["GET"], **schemas.GET_STATUS)
        router.add_api_route("/v1/activity", self.activity, methods=["GET"], **schemas.GET_ACTIVITY)
        router.add_api_route("/metrics", self.metrics, methods=["GET"], include_in_schema=False)

    async def health(self, _request: Request) -> Response:
        """Liveness: the event loop answers."""
        return json_reply({"status": "alive", "version": self._services.version})

    async def ready(self, _request: Request) -> Response:
        """Readiness: 200 or 503, with the result of each check."""
        checks = {"catalogue": self._catalogue(), "database": await self._database(), "model": self._model()}
        ready = all(check["ok"] for check in checks.values())
        status = "ready" if ready else "not ready"
        return json_reply({"status": status, "checks": checks}, status=200 if ready else 503)

    async def status(self, _request: Request) -> Response:
        """The contents of the database and the serving model."""
        return json_reply(await self._engine.executor.run(self._status))

    async def metrics(self, _request: Request) -> Response:
        """The metrics in Prometheus's text format."""
        return Response(self._engine.metrics.text(), media_type=CONTENT_TYPE)

    async def activity(self, _request: Request) -> Response:
        """The samples of the last hour, as columns."""
        sampler = self._engine.activity
        return json_reply({"period_ms": sampler.period_ms, "samples": await self._engine.executor.run(sampler.columns)})

    def _catalogue(self) -> Check:
        try:
            catalogue = self._services.snapshots.current().catalogue
        except NotReady as error:
            return {"ok": False, "message": str(error)}
        check: Check = {"ok": True, "items": len(catalogue), "revision": catalogue.revision}
        if not catalogue.listed.any():
            check["message"] = "no item can be recommended; put items into the catalogue, or set items.catalogue = none"
        return check

    def _model(self) -> Check:
        """A missing model is ready: popularity serves. A champion that cannot be loaded adds a message."""
        try:
            model = self._services.snapshots.current().model
        except NotReady:
            model = None
        problem = self._services.snapshots.problem
        if model is None:
            message = f"no model serves: {self._public(problem)}" if problem else "no model yet: serving popularity"
            return {"ok": True, "version": None, "message": message}
        return {"ok": True, "version": model.version} | ({"message": self._public(problem)} if problem else {})

    async def _database(self) -> Check:
        """Whether the writer gets a write transaction in time; it is rolled back.

        Requests share one that is running, or that began within `PROBE_PERIOD_S`.
        """
        now_s = time.monotonic()
        if self._probe is None or (self._probe.done() and now_s - self._probed_s >= PROBE_PERIOD_S):
            self._probed_s = now_s
            self._probe = asyncio.create_task(self._engine.writer.run(self._try_to_write))
            self._probe.add_done_callback(
                lambda probe: probe.cancelled() or probe.exception()
            )  # the client may have left
        try:
            await asyncio.wait_for(asyncio.shield(self._probe), WRITE_TIMEOUT_S)
        except TimeoutError:
            return {"ok": False, "message": f"no write transaction within {WRITE_TIMEOUT_S:g} s; is the disk slow?"}
        except TidewiseError as error:
            return {"ok": False, "message": self._public(str(error))}
        return {"ok": True}

    def _public(self, message: str) -> str:
        """A message for clients without a key: if a key is set, messages that may contain paths require it."""
        return "the log and, with the key, /v1/status say why" if self._services.api_key else message

    def _try_to_write(self) -> None:
        with self._services.store.transaction() as tx:
            tx.offsets.lock(self._services.writer_name, [0])

    def _status(self) -> dict[str, object]:
        snapshot = self._services.snapshots.current()
        with self._services.store.read() as read:
            counted, champion = self._counts.of(read), read.models.champion()
            newest_event_ms = read.offsets.newest_event_ms()
        totals = counted.totals
        return {
            "version": self._services.version,
            "now": self._services.clock.now_ms(),
            "newest_event": newest_event_ms,
            "users": totals.users,
            "items": totals.items,
            "listed_items": totals.listed_items,
            "events": totals.events,
            "dead_letters": totals.dead_letters,
            "counted": counted.counted_ms,
            "catalogue_revision": snapshot.catalogue.revision,
            "model": {
                "serving": snapshot.model.version if snapshot.model else None,
                "champion": champion.version if champion else None,
                "created": champion.created_ms if champion else None,
                "problem": self._services.snapshots.problem,
            },
            "index": _index_state(snapshot),
        }


def _index_state(snapshot: ServingSnapshot) -> dict[str, object] | None:
    if snapshot.model is None:
        return None
    index = snapshot.model.index
    return {"items": len(index), "approximate": index.is_approximate, "recall": index.recall}
