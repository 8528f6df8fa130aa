"""Sample-ratio mismatch: whether the arms have the shares of users that they should have.

A mismatch means that users are lost or counted differently in some arm (an arm fails, redirects, is filtered), so that
the arms cannot be compared. The test may be repeated after every user: M. Lindon and A. Malek, "Anytime-valid inference
for multinomial count data", NeurIPS 2022. The evidence is the Bayes factor of counts with shares drawn from a Dirichlet
distribution around the planned ones against the planned ones; if these are right, it ever reaches 1/error with
probability at most `error` (Ville's inequality).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Users that the prior is worth: it expects deviations of some .5/sqrt(1000) = 1.6 points of two equal arms.
CONCENTRATION = 1_000.0
ERROR = 0.01  # false alarms per experiment, however often it is looked at


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Counted and expected users per arm. `evidence`: the Bayes factor against the planned shares, as its logarithm."""

    counted: tuple[int, ...]
    expected: tuple[float, ...]
    evidence: float
    error: float = ERROR

    @property
    def is_mismatch(self) -> bool:
        """Whether the counts contradict the planned shares."""
        return self.evidence >= -math.log(self.error)


def sample_ratio(counts: Sequence[int], shares: Sequence[float], *, error: float = ERROR) -> SampleRatio:
    """Tests (A,) users per arm against (A,) planned shares of any common scale. Each user is counted once."""
    if len(counts) != len(shares) or len(counts) < 2:
        msg = f"counts: wanted one for each of at least two shares, got {len(counts)} for {len(shares)}"
        raise ValueError(msg)
    total, scale = sum(counts), math.fsum(shares)
    planned = [share / scale for share in shares]
    evidence = math.lgamma(CONCENTRATION) - math.lgamma(CONCENTRATION + total)
    for count, share in zip(counts, planned, strict=True):
        weight = CONCENTRATION * share
        evidence += math.lgamma(weight + count) - math.lgamma(weight) - count * math.log(share)
    return SampleRatio(tuple(counts), tuple(total * share for share in planned), evidence, error)
