"""The smallest effects that raise an alarm, each in the unit of its signal: significance alone never does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SmallestEffects:
    """By signal, in its unit: shares from 0 to 1, `loss` in nats, `novelty` in bits, `silence` in hours."""

    hit_rate: float = 0.03
    loss: float = 0.15
    confidence: float = 0.10
    categories: float = 0.05
    gaps: float = 0.05
    new_users: float = 0.02
    new_items: float = 0.05
    fallback: float = 0.05
    popularity_bias: float = 0.05
    novelty: float = 0.5
    diversity: float = 0.05
    coverage: float = 0.05
    silence: float = 3.0

    def of(self, signal: str) -> float:
        """The smallest effect of a signal."""
        effect: float = getattr(self, signal)
        return effect
