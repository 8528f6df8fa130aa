"""Who made a request, and a store that notes it in the audit log with the change."""

from __future__ import annotations

from fastapi import Request

from core.access.audit import AuditedStore
from core.events.interactions import check_id
from serving.runtime.services import Services

LOCAL = "local"  # an API without keys
ACTOR = "actor"  # in the state of a request: the name of its key


def actor_of(request: Request) -> str:
    """The name of the key of a request."""
    name: str = request.scope.get("state", {}).get(ACTOR, LOCAL)
    return name


def audited(services: Services, request: Request, action: str, target: str = "") -> AuditedStore:
    """The store for one change by a request."""
    return AuditedStore(services.store, actor_of(request), action, target, services.wall)


def change_author(request: Request) -> str:
    """Who makes a change of a definition, for its history: the parameter `author`, or the name of the key."""
    return check_id("author", request.query_params.get("author", actor_of(request)))
