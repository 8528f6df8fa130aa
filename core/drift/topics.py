"""Topics: what events are counted by, each under a small number, so that counts stay small.

A topic is an item's first category or, where it has none, a cluster of texts. Codes are given as topics come, and never
change; when they are used up, what comes later is counted together. Independent of where topics are stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

NO_TOPIC = 0
NUM_TOPICS = 255
OTHERS = NUM_TOPICS  # the code of all that have none of their own
OTHERS_NAME = "other categories"


def new_codes(names: Iterable[str], known: Mapping[str, int]) -> dict[str, int]:
    """Codes for names that have none, the most frequent first; who finds none free is left out."""
    missing = Counter(name for name in names if name not in known)
    taken = set(known.values())
    free = (code for code in range(1, OTHERS) if code not in taken)
    return dict(zip(sorted(missing, key=lambda name: (-missing[name], name)), free, strict=False))
