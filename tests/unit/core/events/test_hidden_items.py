"""Hidden items: seen ones, and those whose newest like or dislike is a dislike."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.events.hidden_items import HiddenItems
from core.events.interactions import DEFAULT_EVENT_TYPES, EventType, EventTypes

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


def test_a_low_rating_hides_an_item_until_a_higher_one() -> None:
    types = EventTypes((EventType("rating", dislike_below=3.0), EventType("dislike", hide=True)))
    rule = HiddenItems(types, exclude_seen=False)

    def hidden(*values: float | None) -> list[int]:
        codes = [types.stored_code(0, value) for value in values]
        return rule.of(np.array([(7, code) for code in codes], np.int64)).tolist()

    assert [hidden(2.9), hidden(2.9, 3.0), hidden(2.9, None), hidden(5.0, 1.0)] == [[7], [], [], [7]]
