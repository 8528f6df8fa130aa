"""What lists show, all at once: the same as counted list by list."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.outcomes.shown_items import ShownItem
from core.outcomes.shown_lists import shown_lists

SHARES = st.floats(0, 1)
ITEMS = st.builds(
    ShownItem, st.integers(1, 2**31), st.booleans(), st.floats(0, 30), SHARES, st.sampled_from(["", "a", "b", "c"])
)


@given(
    st.dictionaries(st.text(max_size=3), ITEMS, min_size=1, max_size=8).flatmap(
        lambda items: st.tuples(
            st.just(items), st.lists(st.lists(st.sampled_from(sorted(items)), max_size=6), max_size=5)
        )
    )
)
def test_each_list_has_its_sums_and_the_share_of_pairs_that_differ(
    case: tuple[dict[str, ShownItem], list[list[str]]],
) -> None:
    items, lists = case
    for item_ids, shown in zip(lists, shown_lists(lists, items), strict=True):
        own = [items[item_id] for item_id in item_ids]
        assert shown.item_keys == tuple(item.key for item in own)
        assert shown.num_new == sum(item.is_new for item in own)
        assert shown.novelty == pytest.approx(sum(item.novelty for item in own))
        assert shown.popularity == pytest.approx(sum(item.popularity for item in own))
        pairs = list(combinations([item.category for item in own if item.category], 2))
        differing = sum(first != second for first, second in pairs)
        assert shown.diversity == (pytest.approx(differing / len(pairs)) if pairs else None)


def test_there_may_be_no_lists() -> None:
    assert shown_lists([], {}) == []
