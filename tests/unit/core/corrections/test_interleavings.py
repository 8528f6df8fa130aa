"""Any interleaving of events, redeliveries and corrections equals plain Python over what remains."""

from __future__ import annotations

from random import Random

from corrected_shop import NUM_EVENTS, USERS, ShopLog, Step, a_log, apply, assert_equal
from doubles import MemoryStore
from hypothesis import given
from hypothesis import strategies as st

indices = st.lists(st.integers(0, NUM_EVENTS - 1), min_size=1, max_size=NUM_EVENTS, unique=True)
a_step = st.one_of(
    st.tuples(st.just("send"), indices),
    st.tuples(st.just("undo"), st.lists(st.integers(0, NUM_EVENTS - 1), min_size=1, max_size=3)),
    st.tuples(st.just("merge"), st.tuples(st.sampled_from(USERS), st.sampled_from(USERS))),
    st.tuples(st.just("erase"), st.sampled_from(USERS)),
)


@given(seed=st.integers(0, 1000), steps=st.lists(a_step, max_size=8))
def test_corrections_leave_what_the_remaining_events_say(seed: int, steps: list[Step]) -> None:
    store, log = MemoryStore(), ShopLog()
    apply(store, log, a_log(Random(seed)), steps)
    assert_equal(store, log)
