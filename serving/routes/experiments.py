"""Experiments over HTTP: list, change, stop, and results."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from fastapi import APIRouter, Request, Response

from core.definitions.kinds import EXPERIMENT, delete_definition
from core.experiments.definition import FIELDS
from core.experiments.experiment import Experiment
from core.experiments.manage import save_experiment, stop_experiment
from core.experiments.report import read_results
from core.records.stored import DefinitionRevision
from serving.http.audit import audited, change_author
from serving.http.replies import json_reply
from serving.http.requests import path_id, read_object
from serving.runtime.engine import Engine
from serving.schemas import experiments as schemas
from serving.schemas.definitions import revision_out

REUSE = 20  # results that took t > 1 s are reused for 20 t seconds: reading them costs at most a twentieth of a core


class ExperimentRoutes:
    """A change takes effect in this process at once, in other processes when they next read the definitions."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = engine.services
        self._experiments = engine.services.experiments
        self._results: dict[Experiment, tuple[float, dict[str, object]]] = {}  # (when to read it again, document)

    def register(self, router: APIRouter) -> None:
        """Add the routes."""
        experiments, experiment = "/v1/experiments", "/v1/experiments/{name}"
        router.add_api_route(experiments, self.list_all, methods=["GET"], **schemas.GET_EXPERIMENTS)
        router.add_api_route(experiment, self.get, methods=["GET"], **schemas.GET_EXPERIMENT)
        router.add_api_route(experiment, self.put, methods=["PUT"], **schemas.PUT_EXPERIMENT)
        router.add_api_route(experiment, self.delete, methods=["DELETE"], **schemas.DELETE_EXPERIMENT)
        router.add_api_route(f"{experiment}/stop", self.stop, methods=["POST"], **schemas.POST_STOP)
        router.add_api_route(f"{experiment}/results", self.results, methods=["GET"], **schemas.GET_RESULTS)

    async def list_all(self, _request: Request) -> Response:
        """All experiments, by name."""
        await self._engine.follow(self._experiments)
        now_ms = self._services.clock.now_ms()
        named = self._experiments.all().values()
        return json_reply({"experiments": [schemas.experiment_out(experiment, now_ms=now_ms) for experiment in named]})

    async def get(self, request: Request) -> Response:
        """One experiment."""
        name = path_id(request, "name")
        await self._engine.follow(self._experiments)
        named = self._experiments.named(name)
        return json_reply(schemas.experiment_out(named, now_ms=self._services.clock.now_ms()))

    async def put(self, request: Request) -> Response:
        """Insert or replace an experiment: one revision."""
        name, author = path_id(request, "name"), change_author(request)
        definition = await read_object(request, FIELDS, max_bytes=self._services.limits.max_object_bytes)
        store = audited(self._services, request, "store experiment", name)
        clock, scenarios = self._services.clock, self._services.scenarios

        def save() -> DefinitionRevision:
            scenarios.follow()  # another process may have stored them just now
            return save_experiment(store, name, definition, author=author, clock=clock, scenarios=scenarios.all())

        return await self._change(save)

    async def stop(self, request: Request) -> Response:
        """End an experiment now; its results stay."""
        name, author = path_id(request, "name"), change_author(request)
        store, clock = audited(self._services, request, "stop experiment", name), self._services.clock
        return await self._change(lambda: stop_experiment(store, name, author=author, clock=clock))

    async def delete(self, request: Request) -> Response:
        """Delete an experiment."""
        name, author = path_id(request, "name"), change_author(request)
        store, clock = audited(self._services, request, "delete experiment", name), self._services.clock
        return await self._change(lambda: delete_definition(store, EXPERIMENT, name, author=author, clock=clock))

    async def results(self, request: Request) -> Response:
        """The arms compared with the control, day by day."""
        name = path_id(request, "name")
        await self._engine.follow(self._experiments)
        experiment = self._experiments.named(name).parsed
        return json_reply(await self._engine.executor.run(lambda: self._read(experiment)))

    def _read(self, experiment: Experiment) -> dict[str, object]:
        until_s, document = self._results.get(experiment, (0.0, {}))
        started_s = monotonic()
        if started_s >= until_s:
            proven = self._services.impressions == "client"
            results = read_results(self._services.store, experiment, proven_impressions=proven)
            document = schemas.results_out(experiment, results, now_ms=self._services.clock.now_ms())
            took_s = monotonic() - started_s
            self._results = {experiment: (started_s + REUSE * took_s, document)} if took_s > 1 else {}
        return document

    async def _change(self, change: Callable[[], DefinitionRevision]) -> Response:
        return json_reply(revision_out(await self._engine.change_definition(self._experiments, change)))
