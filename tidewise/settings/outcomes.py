"""The settings of outcomes: which answers are remembered, and which events are attributed to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from core.clock import HOUR_MS
from core.outcomes.attribution import DEFAULT_OUTCOME_TYPES, OutcomeType
from core.outcomes.retention import Retention
from core.outcomes.shown_items import NEW_ITEM_DAYS
from core.records.outcomes import Measure
from tidewise.settings.section import Amount, Count, Section


class OutcomeTypeSettings(Section):
    """How events of one type count for the answer that they are attributed to."""

    counts_as: Literal["impression", "click", "conversion"]
    """What an event of this type says of a recommended item."""
    window_h: float = Field(0.0, ge=0, allow_inf_nan=False)
    """For how many hours after an answer an event without its `recommendation_id` is attributed to it; 0: never."""

    def to_domain(self) -> OutcomeType:
        """As a domain object."""
        return OutcomeType(Measure[self.counts_as.upper()], int(self.window_h * HOUR_MS))


def _default_types() -> dict[str, dict[str, Any]]:
    return {
        name: {"counts_as": kind.measure.name.lower(), "window_h": kind.window_ms / HOUR_MS}
        for name, kind in DEFAULT_OUTCOME_TYPES.items()
    }


class OutcomeSettings(Section):
    """Outcomes of answers. `[outcomes.types.NAME]` changes how an event type counts, or makes one count."""

    impressions: Literal["answers", "client"] = "answers"
    """`answers`: each item of an answer counts as shown; `client`: those for which an event proves it."""
    types: dict[str, OutcomeTypeSettings] = Field(default_factory=_default_types, validate_default=True)
    """The event types that count, each with `counts_as` and `window_h`."""
    answer_days: Amount = 30.0
    """For how many days answers are remembered, and how often each item was shown; all other counts stay."""
    max_answers: Count = 5_000_000
    """About how many answers are remembered; older ones are deleted."""
    new_item_days: Amount = NEW_ITEM_DAYS
    """How many days an item counts as new."""

    @field_validator("types", mode="before")
    @classmethod
    def _merge_with_defaults(cls, types: object) -> object:
        if not isinstance(types, Mapping):
            return types
        defaults = _default_types()
        merged = {
            name: defaults.get(name, {}) | changes if isinstance(changes, dict) else changes
            for name, changes in types.items()
        }
        return defaults | merged

    def outcome_types(self) -> dict[str, OutcomeType]:
        """The types as domain objects."""
        return {name: kind.to_domain() for name, kind in self.types.items()}

    def retention(self) -> Retention:
        """Which answers are kept."""
        return Retention(self.answer_days, self.max_answers)
