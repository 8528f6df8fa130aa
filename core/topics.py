"""Topic codes: events are counted by topic, each with a small integer code, so that counts stay small.

A topic is an item's first category or, without one, a cluster of texts. Codes are assigned in order of appearance and
never change; when they are used up, further topics share one code. Independent of storage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

NO_TOPIC = 0
NUM_TOPICS = 255
OTHERS = NUM_TOPICS  # the code of all topics without their own
OTHERS_NAME = "other categories"


def new_codes(names: Iterable[str], known: Mapping[str, int]) -> dict[str, int]:
    """Codes for new names, the most frequent first; names without a free code are omitted."""
    missing = Counter(name for name in names if name not in known)
    taken = set(known.values())
    free = (code for code in range(1, OTHERS) if code not in taken)
    return dict(zip(sorted(missing, key=lambda name: (-missing[name], name)), free, strict=False))
