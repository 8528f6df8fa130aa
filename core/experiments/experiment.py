"""An experiment: users of a scenario are split into arms, and one metric decides which arm is best.

Independent of how users are assigned, of stores and of HTTP.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, get_args

from core.errors import InvalidInput
from core.interactions import shorten

Metric = Literal["click_through_rate", "conversions_per_user", "revenue_per_user"]
METRICS: tuple[Metric, ...] = get_args(Metric)
MAX_ARMS = 10
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")  # names are parts of paths and of labels such as "experiment/arm"


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of answering: by a scenario, by a model version, or, with neither, as without an experiment.

    `share`: the share of users that gets it, above 0 and at most 1.
    """

    name: str
    share: float
    scenario: str = ""
    model_version: str = ""

    def __post_init__(self) -> None:
        """Raises `InvalidInput` that names the field."""
        _check_name("arms.name", self.name)
        if not 0 < self.share <= 1:
            msg = f"arms.share: wanted a number above 0 and at most 1 for arm {self.name!r}, got {self.share}"
            raise InvalidInput(msg, field="arms.share")


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment on the answers of a scenario ("": answers without a scenario).

    The first arm is the control, with which the others are compared. Where the shares add up to less than 1, the other
    users are outside: they are answered as without an experiment. `salt`: experiments with different salts split users
    independently. `start_ms`, `end_ms`: from when and until when users are assigned.
    """

    name: str
    arms: tuple[Arm, ...]
    scenario: str = ""
    salt: str = ""
    metric: Metric = "click_through_rate"
    start_ms: int = 0
    end_ms: int | None = None

    def __post_init__(self) -> None:
        """Raises `InvalidInput` that names the field."""
        _check_name("name", self.name)
        if self.salt:
            _check_name("salt", self.salt)
        names = [arm.name for arm in self.arms]
        if not 2 <= len(names) <= MAX_ARMS:
            msg = f"arms: wanted 2 to {MAX_ARMS} arms, got {len(names)}"
            raise InvalidInput(msg, field="arms")
        if len(set(names)) < len(names):
            msg = f"arms: wanted different names, got {', '.join(names)}"
            raise InvalidInput(msg, field="arms")
        total = math.fsum(arm.share for arm in self.arms)
        if total > 1 + 1e-9:
            msg = f"arms: wanted shares that add up to at most 1, got {total:g}"
            raise InvalidInput(msg, field="arms")
        if self.metric not in METRICS:
            msg = f"metric: wanted {', '.join(METRICS)}, got {self.metric!r}"
            raise InvalidInput(msg, field="metric")
        if self.end_ms is not None and self.end_ms <= self.start_ms:
            msg = "end: wanted a time after the start"
            raise InvalidInput(msg, field="end")

    @property
    def control(self) -> Arm:
        """The arm with which the others are compared."""
        return self.arms[0]

    def runs_at(self, time_ms: int) -> bool:
        """Whether users are assigned at a time."""
        return self.start_ms <= time_ms and (self.end_ms is None or time_ms < self.end_ms)


def _check_name(field: str, name: str) -> None:
    if not NAME.fullmatch(name):
        msg = f"{field}: wanted 1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-', got {shorten(name)}"
        raise InvalidInput(msg, field=field)
