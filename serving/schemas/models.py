"""Model versions: what their routes take and answer."""

from __future__ import annotations

from typing import Any

from core.records.statuses import ModelStatus, PromotionKind
from serving.schemas.base import Schema
from serving.schemas.openapi import ERRORS_404, document, path_parameter


class ModelOut(Schema):
    """A model version."""

    version: str
    status: ModelStatus
    created: int
    available: bool
    """Whether its files still exist, so that it can serve."""
    lineage: dict[str, Any]
    """Its parent, data, metrics and the gate's verdicts."""


class PromotionOut(Schema):
    """A change of the serving model."""

    version: str
    previous: str | None
    """The version that served before; null for popularity."""
    kind: PromotionKind
    decided_by: str
    reason: str
    time: int


class ModelsOut(Schema):
    """All model versions and all promotions, newest first."""

    serving: str | None
    """The version that this process serves now."""
    rollback_to: str | None
    """The version that a rollback would make the champion; null where there is none."""
    models: list[ModelOut]
    promotions: list[PromotionOut]


class PromoteIn(Schema):
    """The reason, and whether to promote a version that the gate has refused."""

    reason: str = ""
    force: bool = False


class RollbackIn(Schema):
    """The reason."""

    reason: str = ""


_TAG = "models"
_VERSION = (path_parameter("version"),)

GET_MODELS = document(ModelsOut, tag=_TAG)
GET_MODEL = document(ModelOut, tag=_TAG, parameters=_VERSION, errors=ERRORS_404)
POST_PROMOTE = document(
    PromotionOut,
    tag=_TAG,
    parameters=_VERSION,
    bodies=(PromoteIn,),
    examples={"with a reason": {"reason": "better on last week"}},
    errors=ERRORS_404,
)
POST_ROLLBACK = document(
    PromotionOut,
    tag=_TAG,
    bodies=(RollbackIn,),
    examples={"with a reason": {"reason": "complaints"}},
    errors=ERRORS_404,
)
