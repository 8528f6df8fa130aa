"""The settings of interest and its drift, and of the log."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from tidewise.settings.section import Amount, Count, Section, split_names


class DriftSettings(Section):
    """Watching everybody's interest."""

    enabled: bool = True
    """Whether ingest counts and samples events, and `tidewise up` watches them."""
    samples_per_minute: Amount = 120.0
    """How many live events each process may have scored, by how the champion would have placed them."""
    warmup_days: float = Field(7.0, ge=0, allow_inf_nan=False)
    """How many days a signal is watched before it can raise an alarm: a week knows the rhythm of days and weekdays."""
    segments: str = "category"
    """What else to watch apart, by commas: `category`, `item.NAME` (an attribute), `event.NAME` (of the context)."""
    max_segments: Count = 12
    """How many of all their values, those that have enough events first."""
    webhook_url: str = ""
    """The address (http or https) that alarms are posted to; empty: none."""
    webhook_secret: SecretStr = SecretStr("")
    """The secret (at least 16 characters) that posted alarms are signed with; needed for a webhook."""
    webhook_allow_private: bool = False
    """Whether the webhook may be an address of the own network."""
    retention_days: Amount = 90.0
    """After how many days single scores are deleted; what was made of them stays."""

    @field_validator("segments")
    @classmethod
    def _known_segments(cls, given: str) -> str:
        for name in split_names(given):
            kind, dot, rest = name.partition(".")
            if name != "category" and not (kind in ("item", "event") and dot and rest):
                msg = f"wanted category, item.NAME or event.NAME, got {name!r}"
                raise ValueError(msg)
        return given

    @model_validator(mode="after")
    def _webhook_has_a_secret(self) -> Self:
        if self.webhook_url and len(self.webhook_secret.get_secret_value()) < 16:
            advice = "`openssl rand -hex 24` makes one"
            msg = f"drift.webhook_url needs drift.webhook_secret of at least 16 characters; {advice}"
            raise ValueError(msg)
        return self

    def segment_names(self) -> tuple[str, ...]:
        """What to watch apart, one by one."""
        return split_names(self.segments)


class LogSettings(Section):
    """What long-running processes write on standard error."""

    format: Literal["text", "json"] = "text"
    """`text`: lines for people; `json`: one object per line, for machines."""


class InterestSettings(Section):
    """What is told of a user's interest."""

    short_half_life_days: Amount = 7.0
    """After how many days an event counts half in what the user turns to lately."""
    long_half_life_days: Amount = 90.0
    """After how many days an event counts half in what the user turns to on the whole."""
    false_positive_rate: float = Field(0.05, gt=0, lt=1)
    """In what share of users whose interest does not move a move may be seen."""
    max_events: Count = 500
    """From how many of a user's newest events their interest is told."""

    @model_validator(mode="after")
    def _short_is_shorter(self) -> Self:
        short, long = self.short_half_life_days, self.long_half_life_days
        if short >= long:
            msg = f"wanted interest.short_half_life_days below interest.long_half_life_days, got {short} and {long}"
            raise ValueError(msg)
        return self
