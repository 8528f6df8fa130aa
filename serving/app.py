"""The HTTP application: routes, middleware, and the engine behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp

from core.background import BackgroundThread
from core.records.api_keys import Scope
from serving.http.body_budget import BodyBudget
from serving.http.checked_route import CheckedRoute
from serving.http.direct_routes import DirectRoutes
from serving.http.guards import KeyGuard, LocalGuard, RawPath, UnexpectedErrors
from serving.http.keys import RELOAD_S, KeyRing
from serving.http.metrics import MetricsMiddleware
from serving.http.replies import add_error_replies, encoded_reply
from serving.http.session_cookie import cookie_name
from serving.routes.audit import AuditRoutes
from serving.routes.dashboard import DashboardRoutes
from serving.routes.dead_letters import DeadLetterRoutes
from serving.routes.drift import DriftRoutes
from serving.routes.experiments import ExperimentRoutes
from serving.routes.ingestion import IngestionRoutes
from serving.routes.interactions import InteractionRoutes
from serving.routes.interests import InterestRoutes
from serving.routes.item_search import ItemSearchRoutes
from serving.routes.items import ItemRoutes
from serving.routes.models import ModelRoutes
from serving.routes.outcomes import OutcomeRoutes
from serving.routes.recommendations import RecommendationRoutes
from serving.routes.scenarios import ScenarioRoutes
from serving.routes.segments import SegmentRoutes
from serving.routes.status import StatusRoutes
from serving.routes.timeline import TimelineRoutes
from serving.routes.users import UserRoutes
from serving.runtime.engine import Engine
from serving.runtime.services import Limits, Services
from serving.schemas.openapi import publish

FREQUENT = ("/v1/users/{user_id:path}/recommendations", "/v1/interactions")
NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False}  # of FastAPI, which asks for it at each request
CORS_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

__all__ = ["Limits", "Services", "create_app"]


def create_app(services: Services) -> FastAPI:
    """The API over these services; its threads start and drain with the app's lifespan."""
    engine = Engine(services)
    keys = _key_ring(services)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with engine.running():
            with _following(keys):
                yield

    app = FastAPI(
        title="Tidewise",
        version=services.version,
        openapi_url=None,  # FastAPI's own route encodes the document at each request
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        telemetry=NO_TELEMETRY,
    )
    app.state.services = services
    app.state.engine = engine
    _register_routes(engine, app.router)
    if keys and services.sign_in is not None:
        from serving.routes.sign_in import SignInRoutes  # needs the extra `oidc`

        app.mount("/sign-in", SignInRoutes(engine, services.sign_in).app())
    add_error_replies(app)
    publish(app)
    app.add_route("/openapi.json", _document(app))
    app.middleware_stack = _middleware(app, engine, keys)
    return app


def _document(app: FastAPI) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of the OpenAPI document, which needs no key: it is made and encoded once."""
    encoded = cache(lambda: orjson.dumps(app.openapi()))

    async def answer(_request: Request) -> Response:
        return encoded_reply(encoded())

    return answer


def _middleware(app: FastAPI, engine: Engine, keys: KeyRing | None) -> ASGIApp:
    """What a request passes, from the last layer to the first.

    FastAPI would put three more in front, for errors that ours answers, telemetry and a limit that is not set.
    """
    services = engine.services
    stack: ASGIApp = ExceptionMiddleware(AsyncExitStackMiddleware(app.router), handlers=app.exception_handlers)
    stack = DirectRoutes(stack, _frequent(app.router))
    stack = BodyBudget(stack, max_bytes=services.limits.max_bodies_bytes)
    if keys:
        stack = KeyGuard(stack, keys=keys, has_sign_in=services.sign_in is not None)
        if services.cors_origins:
            origins, headers = list(services.cors_origins), ["Authorization", "X-API-Key"]
            stack = CORSMiddleware(stack, allow_origins=origins, allow_methods=CORS_METHODS, allow_headers=headers)
    else:
        stack = LocalGuard(stack)
    stack = UnexpectedErrors(RawPath(stack))
    return MetricsMiddleware(stack, metrics=engine.metrics, activity=engine.activity)


def _frequent(router: APIRouter) -> list[CheckedRoute]:
    """The routes that a shop calls for each page view and each event."""
    routes = [route for route in router.routes if isinstance(route, CheckedRoute) and route.path in FREQUENT]
    assert len(routes) == len(FREQUENT), f"wanted the routes {FREQUENT}, got {routes}"
    return routes


def _key_ring(services: Services) -> KeyRing | None:
    """The keys of the API; None where it needs no key."""
    if not services.api_key:
        return None
    given = {Scope.ADMIN: services.api_key, Scope.WRITE: services.write_key, Scope.READ: services.read_key}
    cookie = cookie_name(is_https=services.sign_in is not None and services.sign_in.is_https)
    return KeyRing(services.store, given=given, wall=services.wall, cookie=cookie, rate_limits=services.rate_limits)


@contextmanager
def _following(keys: KeyRing | None) -> Iterator[None]:
    """Read the keys from the database now, and then every second (`RELOAD_S`)."""
    if keys is None:
        yield
        return
    keys.reload()
    thread = BackgroundThread("keys", keys.reload, period_s=RELOAD_S)
    thread.start()
    try:
        yield
    finally:
        thread.stop()


def _register_routes(engine: Engine, router: APIRouter) -> None:
    """Add all routes to the app's own router: FastAPI would analyse those of another a second time.

    Recommendations come before items: `/v1/items/{item_id}` matches every path below `/v1/items`.
    """
    router.route_class = CheckedRoute
    InteractionRoutes(engine).register(router)
    RecommendationRoutes(engine).register(router)
    ItemSearchRoutes(engine).register(router)
    ItemRoutes(engine).register(router)
    UserRoutes(engine).register(router)
    ModelRoutes(engine).register(router)
    ScenarioRoutes(engine).register(router)
    SegmentRoutes(engine).register(router)
    ExperimentRoutes(engine).register(router)
    DriftRoutes(engine).register(router)
    InterestRoutes(engine).register(router)
    OutcomeRoutes(engine).register(router)
    DeadLetterRoutes(engine).register(router)
    IngestionRoutes(engine).register(router)
    StatusRoutes(engine).register(router)
    AuditRoutes(engine).register(router)
    TimelineRoutes(engine).register(router)
    DashboardRoutes().register(router)
