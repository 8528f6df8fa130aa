"""The settings of interest and its drift."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from tidewise.settings_section import Amount, Count, Section


class InterestSettings(Section):
    """What is told of a user's interest."""

    short_days: Amount = 7.0
    """After how many days an event counts half in what the user turns to lately."""
    long_days: Amount = 90.0
    """After how many days an event counts half in what the user turns to on the whole."""
    false_alarms: float = Field(0.05, gt=0, lt=1)
    """In what share of users whose interest does not move a move may be seen."""
    max_events: Count = 500
    """From how many of a user's newest events their interest is told."""

    @model_validator(mode="after")
    def _short_is_shorter(self) -> Self:
        if self.short_days >= self.long_days:
            msg = f"wanted interest.short_days below interest.long_days, got {self.short_days} and {self.long_days}"
            raise ValueError(msg)
        return self
