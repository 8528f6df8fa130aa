"""Hidden items: seen ones, and those whose newest like or dislike is a dislike."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.hidden_items import HiddenItems
from core.interactions import DEFAULT_EVENT_TYPES, EventTypes

TYPES = EventTypes()
CODES = range(len(DEFAULT_EVENT_TYPES))
a_history = st.lists(st.tuples(st.integers(1, 4), st.sampled_from(CODES)), max_size=30)


@given(events=a_history, exclude_seen=st.booleans())
def test_hidden_items_are_those_of_a_walk_through_the_history(
    events: list[tuple[int, int]], exclude_seen: bool
) -> None:
    seen, disliked = set(), set()
    for item, code in events:
        kind = DEFAULT_EVENT_TYPES[code]
        if kind.seen:
            seen.add(item)
        if kind.name == "dislike":
            disliked.add(item)
        elif kind.name == "like":
            disliked.discard(item)
    rule = HiddenItems(TYPES, exclude_seen=exclude_seen)
    read = [event for event in events if event[1] in rule.codes]
    hidden = rule.of(np.array(read, np.int64).reshape(-1, 2))
    assert hidden.tolist() == sorted(disliked | (seen if exclude_seen else set()))


def test_likes_are_not_read_where_nothing_hides() -> None:
    types = EventTypes(tuple(kind for kind in DEFAULT_EVENT_TYPES if not kind.hide))
    assert HiddenItems(types, exclude_seen=False).codes == ()
