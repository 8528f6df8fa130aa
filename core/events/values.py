"""Values of events: what a rating, a price or a quantity changes in the meaning of its event.

Two rules, both off by default. A value may scale the event's weight in popularity, as the confidence in an implicit
preference (Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008, section 4). And
a value below a threshold may turn the event into a dislike, so that it is no positive example for training and the
gate, as explicit ratings are made binary (Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW
2018, section 4.1).
"""

from __future__ import annotations

import math
from typing import Literal

ValueWeight = Literal["none", "linear", "log"]

DISLIKED = 1024  # added to a type's code where the value makes the event a dislike; more types than that are refused
LARGEST_FACTOR = 1e12  # one mistyped price must not overflow a sum


def value_factor(how: ValueWeight, value: float | None) -> float:
    """What the weight of an event is multiplied by: 1 without a value, 0 for values up to 0, else v or log2(1 + v)."""
    if how == "none" or value is None:
        return 1.0
    factor = min(max(value, 0.0), LARGEST_FACTOR)
    return factor if how == "linear" else math.log2(1.0 + factor)
