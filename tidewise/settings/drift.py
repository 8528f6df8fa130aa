"""The settings of user interests and of drift monitoring."""

from __future__ import annotations

from dataclasses import fields
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from core.drift.effects import SmallestEffects
from tidewise.settings.section import Amount, Count, Section, Share, split_names


class DriftSettings(Section):
    """Drift monitoring: detectors on the interest of all users together."""

    enabled: bool = True
    """Whether ingestion counts and samples events, and `tidewise up` runs the detectors."""
    samples_per_minute: Amount = 120.0
    """How many live events each process samples, to record the rank that the champion gives their items."""
    warmup_days: float = Field(7.0, ge=0, allow_inf_nan=False)
    """How many days a signal is observed before it can raise an alarm; a week covers daily and weekly cycles."""
    new_normal_days: Amount = 7.0
    """How many days a change lasts until it is what is expected, which ends its alarm."""
    effect_hit_rate: Share = 0.03
    """The smallest fall in hit rate that raises an alarm, 0 to 1."""
    effect_loss: Amount = 0.15
    """The smallest rise in loss that raises an alarm, in nats."""
    effect_confidence: Share = 0.10
    """The smallest fall in the model's confidence (the probability of its first ten items) that raises an alarm."""
    effect_categories: Share = 0.05
    """The smallest share of events moved to other categories that raises an alarm, 0 to 1."""
    effect_gaps: Share = 0.05
    """The smallest share of gaps between events moved to other lengths that raises an alarm, 0 to 1."""
    effect_new_users: Share = 0.02
    """The smallest rise in the share of first events of users that raises an alarm, 0 to 1."""
    effect_new_items: Share = 0.05
    """The smallest rise in the share of events of new items that raises an alarm, 0 to 1."""
    effect_fallback: Share = 0.05
    """The smallest rise in the share of answers by popularity in place of a model that raises an alarm, 0 to 1."""
    effect_popularity_bias: Share = 0.05
    """The smallest rise in the mean popularity percentile of shown items that raises an alarm, 0 to 1."""
    effect_novelty: Amount = 0.5
    """The smallest fall in the mean novelty of shown items that raises an alarm, in bits."""
    effect_diversity: Share = 0.05
    """The smallest fall in the share of a list's pairs of items of different categories that raises an alarm."""
    effect_coverage: Share = 0.05
    """The smallest fall in the share of different items among those of 20 lists that raises an alarm, 0 to 1."""
    effect_silence: Amount = 3.0
    """The shortest time without events, where events were expected, that raises an alarm, in hours."""
    segments: str = "category"
    """Segments to monitor separately, comma-separated: `category`, `item.NAME` (attribute), `event.NAME` (context)."""
    max_segments: Count = 12
    """The maximum number of segment values, those with enough events first."""
    webhook_url: SecretStr = SecretStr("")
    """The URL (http or https) that alarms are posted to, often a secret itself; empty: none."""
    webhook_secret: SecretStr = SecretStr("")
    """The secret (at least 16 characters) that signs posted alarms; required with a webhook."""
    webhook_allow_private: bool = False
    """Whether the webhook may have a private address."""
    retention_days: Amount = 90.0
    """After how many days individual samples are deleted; aggregates stay."""

    @field_validator("segments")
    @classmethod
    def _known_segments(cls, segments: str) -> str:
        for name in split_names(segments):
            kind, dot, rest = name.partition(".")
            if name != "category" and not (kind in ("item", "event") and dot and rest):
                msg = f"wanted category, item.NAME or event.NAME, got {name!r}"
                raise ValueError(msg)
        return segments

    @model_validator(mode="after")
    def _webhook_has_a_secret(self) -> Self:
        if self.webhook_url.get_secret_value() and len(self.webhook_secret.get_secret_value()) < 16:
            advice = "`openssl rand -hex 24` makes one"
            msg = f"drift.webhook_url needs drift.webhook_secret of at least 16 characters; {advice}"
            raise ValueError(msg)
        return self

    def smallest_effects(self) -> SmallestEffects:
        """The smallest effects that raise an alarm."""
        names = (field.name for field in fields(SmallestEffects))
        return SmallestEffects(**{name: getattr(self, f"effect_{name}") for name in names})

    def segment_names(self) -> tuple[str, ...]:
        """The segments to monitor separately."""
        return split_names(self.segments)


class InterestSettings(Section):
    """A user's short-term and long-term interests."""

    short_half_life_days: Amount = 7.0
    """The half-life in days of an event's weight in the short-term interest."""
    long_half_life_days: Amount = 90.0
    """The half-life in days of an event's weight in the long-term interest."""
    false_positive_rate: float = Field(0.05, gt=0, lt=1)
    """The share of users with a stable interest for whom drift may be reported (false positives)."""
    max_events: Count = 500
    """The number of a user's newest events that their interest is computed from."""
    segments: str = ""
    """Fields of events whose values are compared side by side, comma-separated, as `event.country`; few values each."""

    @field_validator("segments")
    @classmethod
    def _known_segments(cls, segments: str) -> str:
        for name in split_names(segments):
            kind, dot, rest = name.partition(".")
            if kind != "event" or not dot or not rest:
                msg = f"wanted event.NAME, a field of the events' context, got {name!r}"
                raise ValueError(msg)
        return segments

    def segment_names(self) -> tuple[str, ...]:
        """The fields whose values are compared side by side."""
        return split_names(self.segments)

    @model_validator(mode="after")
    def _short_is_shorter(self) -> Self:
        short, long = self.short_half_life_days, self.long_half_life_days
        if short >= long:
            msg = f"wanted interest.short_half_life_days below interest.long_half_life_days, got {short} and {long}"
            raise ValueError(msg)
        return self
