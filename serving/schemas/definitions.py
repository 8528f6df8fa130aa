"""Definitions with revisions, of scenarios and of experiments: what a change answers."""

from __future__ import annotations

from typing import Any

from core.records.stored import DefinitionRevision
from serving.schemas.base import Schema
from serving.schemas.openapi import id_parameter


class DefinitionRevisionOut(Schema):
    """One change of a scenario or an experiment."""

    name: str
    revision: int
    author: str
    time: int
    definition: dict[str, Any] | None
    """Null: deleted."""


def revision_out(change: DefinitionRevision) -> dict[str, object]:
    """A change as `DefinitionRevisionOut`."""
    return {
        "name": change.name,
        "revision": change.revision,
        "author": change.author,
        "time": change.time_ms,
        "definition": change.definition,
    }


CHANGE_AUTHOR = id_parameter("author", "Who changes it, for the history; by default the name of the API key.")
