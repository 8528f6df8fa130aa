"""The HTTP application: the routes, the guards in front of them and the threads behind them."""

from __future__ import annotations

from fastapi import FastAPI

from serving.services import Limits, Services

__all__ = ["Limits", "Services", "create_app"]


def create_app(services: Services) -> FastAPI:
    """The API over these services; its threads start and drain with the app's lifespan."""
    app = FastAPI(title="Tidewise", version=services.version, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.services = services
    return app
