"""The HTTP application: the routes, the guards in front of them and the threads behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from serving.http.guards import KeyGuard, LastResort, LocalGuard, RawPath
from serving.http.metrics import Measured
from serving.http.replies import add_error_replies
from serving.http.security import Keys
from serving.routes.dashboard import DashboardRoutes
from serving.routes.dead_letters import DeadLetterRoutes
from serving.routes.drift import DriftRoutes
from serving.routes.histories import HistoryRoutes
from serving.routes.ingestion import IngestionRoutes
from serving.routes.interactions import InteractionRoutes
from serving.routes.items import ItemRoutes
from serving.routes.models import ModelRoutes
from serving.routes.recommendations import AnswerRoutes
from serving.routes.search import SearchRoutes
from serving.routes.status import IntrospectionRoutes
from serving.routes.users import UserRoutes
from serving.runtime.engine import Engine
from serving.runtime.services import Limits, Services
from serving.schemas import openapi as docs

__all__ = ["Limits", "Services", "create_app"]


def create_app(services: Services) -> FastAPI:
    """The API over these services; its threads start and drain with the app's lifespan."""
    engine = Engine(services)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with engine.running():
            yield

    app = FastAPI(
        title="Tidewise",
        version=services.version,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.services = services
    app.state.engine = engine
    app.include_router(_routes(engine))
    add_error_replies(app)
    docs.describe(app)
    if services.api_key:  # the last one added is the first one passed
        keys = Keys(services.api_key, write=services.write_key, read=services.read_key)
        app.add_middleware(KeyGuard, keys=keys)
    else:
        app.add_middleware(LocalGuard)
    app.add_middleware(RawPath)
    app.add_middleware(LastResort)
    app.add_middleware(Measured, metrics=engine.metrics, pulse=engine.pulse)
    return app


def _routes(engine: Engine) -> APIRouter:
    """Every path; longer ones first, because an id takes all that it can."""
    router = APIRouter()
    events, answers, items = InteractionRoutes(engine), AnswerRoutes(engine), ItemRoutes(engine)
    users, models, inside = UserRoutes(engine), ModelRoutes(engine), IntrospectionRoutes(engine)
    drift = DriftRoutes(engine)
    search, letters, ingestion = SearchRoutes(engine), DeadLetterRoutes(engine), IngestionRoutes(engine)
    histories, dashboard = HistoryRoutes(engine), DashboardRoutes()
    add = router.add_api_route
    add("/v1/interactions", events.post, methods=["POST"], **docs.POST_INTERACTIONS)
    add("/v1/recommendations", answers.recommend_session, methods=["POST"], **docs.POST_RECOMMENDATIONS)
    add("/v1/users/{user_id:path}/recommendations", answers.recommend, methods=["GET"], **docs.GET_RECOMMENDATIONS)
    add("/v1/users/{user_id:path}/interests", users.interests, methods=["GET"], **docs.GET_INTERESTS)
    add("/v1/users/{user_id:path}/rank", answers.rank, methods=["POST"], **docs.POST_RANK)
    add("/v1/users/{user_id:path}/events", histories.events, methods=["GET"], **docs.GET_USER_EVENTS)
    add("/v1/users", histories.users, methods=["GET"], **docs.GET_USERS)
    add("/v1/users/{user_id:path}", users.delete, methods=["DELETE"], **docs.DELETE_USER)
    add("/v1/items/search", search.search, methods=["GET"], **docs.GET_SEARCH)
    add("/v1/items/trending", answers.trending, methods=["GET"], **docs.GET_TRENDING)
    add("/v1/items/latest", answers.latest, methods=["GET"], **docs.GET_LATEST)
    add("/v1/items/popular", answers.popular, methods=["GET"], **docs.GET_POPULAR)
    add("/v1/items/{item_id:path}/similar", answers.similar, methods=["GET"], **docs.GET_SIMILAR)
    add("/v1/items", items.list_page, methods=["GET"], **docs.GET_ITEMS)
    add("/v1/items", items.post, methods=["POST"], **docs.POST_ITEMS)
    add("/v1/items/{item_id:path}", items.get, methods=["GET"], **docs.GET_ITEM)
    add("/v1/items/{item_id:path}", items.put, methods=["PUT"], **docs.PUT_ITEM)
    add("/v1/items/{item_id:path}", items.delete, methods=["DELETE"], **docs.DELETE_ITEM)
    add("/v1/models/{version:path}/promote", models.promote, methods=["POST"], **docs.POST_PROMOTE)
    add("/v1/models/rollback", models.roll_back, methods=["POST"], **docs.POST_ROLLBACK)
    add("/v1/models/{version:path}", models.get, methods=["GET"], **docs.GET_MODEL)
    add("/v1/models", models.list_all, methods=["GET"], **docs.GET_MODELS)
    add("/v1/drift/categories", drift.categories, methods=["GET"], **docs.GET_DRIFT_CATEGORIES)
    add("/v1/drift", drift.get, methods=["GET"], **docs.GET_DRIFT)
    add("/v1/categories", search.categories, methods=["GET"], **docs.GET_CATEGORIES)
    add("/v1/dead-letters/retry", letters.retry, methods=["POST"], **docs.POST_RETRY)
    add("/v1/dead-letters/discard", letters.discard, methods=["POST"], **docs.POST_DISCARD)
    add("/v1/dead-letters", letters.list_newest, methods=["GET"], **docs.GET_DEAD_LETTERS)
    add("/v1/ingestion", ingestion.state, methods=["GET"], **docs.GET_INGESTION)
    add("/v1/activity", inside.activity, methods=["GET"], **docs.GET_ACTIVITY)
    add("/v1/status", inside.status, methods=["GET"], **docs.GET_STATUS)
    add("/health", inside.health, methods=["GET"], **docs.GET_HEALTH)
    add("/ready", inside.ready, methods=["GET"], **docs.GET_READY)
    add("/metrics", inside.metrics, methods=["GET"], include_in_schema=False)
    add("/", dashboard.index, methods=["GET"], include_in_schema=False)
    add("/pages/{path:path}", dashboard.file, methods=["GET"], include_in_schema=False)
    return router
