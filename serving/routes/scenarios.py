"""Scenarios over HTTP: list, change, revert, and preview a definition that is not stored."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from core.definitions.kinds import SCENARIO, delete_definition
from core.errors import InvalidInput
from core.events.interactions import check_id, shorten
from core.recommendation.requests import RecommendationResult
from core.records.stored import DefinitionRevision
from core.scenarios.definition import FIELDS, parse_scenario
from core.scenarios.manage import MAX_REVISIONS, revert_scenario, save_scenario
from core.scenarios.scenario import Scenario
from serving.http.audit import audited, change_author
from serving.http.replies import json_reply
from serving.http.requests import parse_recommendation_request, path_id, read_object
from serving.runtime.engine import Engine
from serving.schemas import scenarios as schemas
from serving.schemas.base import Schema
from serving.schemas.definitions import revision_out
from serving.schemas.recommendations import recommendations_out

PREVIEW = "preview"  # the name of a scenario that has none


class ScenarioRoutes:
    """A change takes effect in this process at once, in other processes when they next read the definitions."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = engine.services
        self._scenarios = engine.services.scenarios

    def register(self, router: APIRouter) -> None:
        """Add the routes."""
        scenarios, scenario = "/v1/scenarios", "/v1/scenarios/{name}"
        router.add_api_route(scenarios, self.list_all, methods=["GET"], **schemas.GET_SCENARIOS)
        router.add_api_route(f"{scenarios}/preview", self.preview, methods=["POST"], **schemas.POST_PREVIEW)
        router.add_api_route(scenario, self.get, methods=["GET"], **schemas.GET_SCENARIO)
        router.add_api_route(scenario, self.put, methods=["PUT"], **schemas.PUT_SCENARIO)
        router.add_api_route(scenario, self.delete, methods=["DELETE"], **schemas.DELETE_SCENARIO)
        router.add_api_route(f"{scenario}/revisions", self.revisions, methods=["GET"], **schemas.GET_REVISIONS)
        router.add_api_route(f"{scenario}/revert", self.revert, methods=["POST"], **schemas.POST_REVERT)

    async def list_all(self, _request: Request) -> Response:
        """All scenarios, by name."""
        await self._engine.follow(self._scenarios)
        return json_reply({"scenarios": [schemas.scenario_out(*entry) for entry in self._scenarios.all().items()]})

    async def get(self, request: Request) -> Response:
        """One scenario."""
        name = path_id(request, "name")
        await self._engine.follow(self._scenarios)
        return json_reply(schemas.scenario_out(name, self._scenarios.named(name)))

    async def put(self, request: Request) -> Response:
        """Insert or replace a scenario: one revision."""
        name, author = path_id(request, "name"), change_author(request)
        definition = await self._body(request, FIELDS)
        filters = parse_scenario(definition).filters
        store = audited(self._services, request, "store scenario", name)
        clock, segments = self._services.wall, self._services.segments

        def save() -> DefinitionRevision:
            segments.follow()  # another process may have stored them just now
            segments.check(*filters)
            return save_scenario(store, name, definition, author=author, clock=clock)

        return await self._change(save)

    async def delete(self, request: Request) -> Response:
        """Delete a stored scenario: one more revision, which can be reverted."""
        name, author = path_id(request, "name"), change_author(request)
        clock = self._services.wall
        return await self._change(
            lambda: delete_definition(
                audited(self._services, request, "delete scenario", name), SCENARIO, name, author=author, clock=clock
            )
        )

    async def revert(self, request: Request) -> Response:
        """Revert to an older revision: stores one more revision, equal to it."""
        name, author = path_id(request, "name"), change_author(request)
        revision = (await self._body(request, schemas.RevertIn)).get("revision")
        if isinstance(revision, float) and revision.is_integer():
            revision = int(revision)  # 2.0 is an integer in JSON
        if isinstance(revision, bool) or not isinstance(revision, int):
            msg = f"revision: wanted the number of a revision, got {shorten(revision)}"
            raise InvalidInput(msg, field="revision")
        clock = self._services.wall
        return await self._change(
            lambda: revert_scenario(
                audited(self._services, request, "revert scenario", name), name, revision, author=author, clock=clock
            )
        )

    async def revisions(self, request: Request) -> Response:
        """The stored revisions of a scenario, newest first."""
        name = path_id(request, "name")

        def read() -> list[DefinitionRevision]:
            with self._services.store.read() as read:
                return read.scenarios.history(name, limit=MAX_REVISIONS)

        changes = await self._engine.executor.run(read)
        if not changes:
            raise SCENARIO.not_stored(name)
        return json_reply({"revisions": [revision_out(change) for change in changes]})

    async def preview(self, request: Request) -> Response:
        """A user's answers now and under a definition that is not stored."""
        body = await self._body(request, schemas.PreviewIn)
        user_id = check_id("user_id", body.get("user_id"))
        if body.get("definition") is None:
            msg = "definition: wanted the definition of a scenario, got nothing; add it"
            raise InvalidInput(msg, field="definition")
        proposed = parse_scenario(body["definition"], name=PREVIEW)
        await self._engine.follow(self._scenarios, self._services.segments)
        self._services.segments.check(*proposed.filters)
        current = None if body.get("scenario") is None else self._scenarios.get(str(body["scenario"]))

        def answers() -> dict[str, object]:
            lists = {"current": self._answer(user_id, current), "proposed": self._answer(user_id, proposed)}
            return {
                name: {"user_id": user_id} | recommendations_out(answer, answer.gap_ms)
                for name, answer in lists.items()
            }

        return json_reply(await self._engine.executor.run(answers))

    def _answer(self, user_id: str, scenario: Scenario | None) -> RecommendationResult:
        request = parse_recommendation_request({}, self._services, scenario)
        return self._services.recommender.recommend(user_id, request)

    async def _change(self, change: Callable[[], DefinitionRevision]) -> Response:
        return json_reply(revision_out(await self._engine.change_definition(self._scenarios, change)))

    async def _body(self, request: Request, fields: type[Schema] | tuple[str, ...]) -> dict[str, object]:
        names = fields if isinstance(fields, tuple) else tuple(fields.model_fields)
        return await read_object(request, names, max_bytes=self._services.limits.max_object_bytes)
