"""The incremental encoder: whatever happens to histories, users and memory, it says what a full encode says."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.catalogue.items import Catalogue
from core.errors import InvalidSettings
from core.events.history import History, WindowShape, windows_of
from model.bundle import BoundEncoder, HM4SRBundle
from model.inference.folded import FoldedLayer
from model.inference.incremental import EncoderCounts, IncrementalEncoder
from model.inference.layer_inputs import MIB, LayerInputCache

START_MS = 1_300_000_000_000
TOLERANCE = 1e-5


def room_for(users: int, bundle: HM4SRBundle) -> float:
    """The memory in MiB that holds this many users."""
    return users * LayerInputCache(bundle.config, memory_mib=1).bytes_per_user / MIB


class Log:
    """All events of all users; a user's window is computed from the whole history each time."""

    def __init__(self, shape: WindowShape) -> None:
        self.shape = shape
        self.events: dict[int, list[tuple[int, int]]] = {}

    def add(self, user: int, item: int, time_ms: int) -> None:
        self.events.setdefault(user, []).append((time_ms, item))
        self.events[user].sort(key=lambda event: event[0])

    def window(self, user: int) -> History:
        times_ms, items = zip(*self.events[user], strict=True)
        return windows_of(np.array(items), np.array(times_ms), self.shape).history


def assert_parity(incremental: IncrementalEncoder, plain: BoundEncoder, users: list[int], log: Log) -> None:
    histories = [log.window(user) for user in users]
    np.testing.assert_allclose(incremental.encode(users, histories), plain.encode(histories), atol=TOLERANCE)


event = st.tuples(st.integers(0, 4), st.integers(100, 141), st.integers(0, 10**9), st.booleans())
steps = st.lists(st.lists(event, min_size=1, max_size=8), min_size=1, max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, room=st.integers(1, 6))
def test_incremental_vectors_equal_a_full_encode_for_any_event_order(
    bundle: HM4SRBundle, shop: Catalogue, steps: list[list[tuple[int, int, int, bool]]], room: int
) -> None:
    plain = bundle.bind(shop)
    incremental = IncrementalEncoder(plain, memory_mib=room_for(room, bundle))
    log, now_ms = Log(bundle.window), START_MS
    for step in steps:
        for user, item, gap_ms, late in step:
            now_ms += 0 if late else gap_ms
            log.add(user, item, now_ms - gap_ms if late else now_ms)
        assert_parity(incremental, plain, sorted({user for user, *_ in step}), log)
        assert incremental.num_cached_users <= incremental.max_cached_users == room


def walk(
    bundle: HM4SRBundle, shop: Catalogue, num_events: int, *, per_call: int = 1
) -> tuple[IncrementalEncoder, BoundEncoder, Log]:
    """One user's first events, encoded every `per_call` of them."""
    plain = bundle.bind(shop)
    incremental, log = IncrementalEncoder(plain, memory_mib=1), Log(bundle.window)
    for number in range(num_events):
        log.add(1, 100 + number % 40, START_MS + number * 12_345)
        if (number + 1) % per_call == 0:
            assert_parity(incremental, plain, [1], log)
    return incremental, plain, log


def test_a_full_encode_is_paid_once_in_a_step_of_the_window(bundle: HM4SRBundle, shop: Catalogue) -> None:
    incremental, _, _ = walk(bundle, shop, 40)
    slides = {bundle.window.start(num_events) for num_events in range(1, 41)}
    assert incremental.counts == EncoderCounts(unchanged=0, extended=40 - len(slides), full=len(slides))


def test_few_new_events_are_encoded_incrementally_many_as_a_full_encode(bundle: HM4SRBundle, shop: Catalogue) -> None:
    few, _, _ = walk(bundle, shop, 9, per_call=3)
    many, _, _ = walk(bundle, shop, 10, per_call=5)
    assert (few.counts.full, few.counts.extended) == (1, 2)
    assert (many.counts.full, many.counts.extended) == (2, 0)


def test_asking_again_computes_nothing(bundle: HM4SRBundle, shop: Catalogue) -> None:
    incremental, plain, log = walk(bundle, shop, 3)
    assert_parity(incremental, plain, [1], log)
    assert incremental.counts.unchanged == 1


def test_a_late_event_and_a_shorter_history_are_noticed_without_being_told(
    bundle: HM4SRBundle, shop: Catalogue
) -> None:
    incremental, plain, log = walk(bundle, shop, 5)
    log.add(1, 133, START_MS + 1)
    assert_parity(incremental, plain, [1], log)
    log.events[1] = log.events[1][:2]
    assert_parity(incremental, plain, [1], log)
    assert incremental.counts.full == 3


def test_changed_item_texts_are_re_read_and_other_users_stay_cached(bundle: HM4SRBundle, shop: Catalogue) -> None:
    plain = bundle.bind(shop)
    incremental, log = IncrementalEncoder(plain, memory_mib=1), Log(bundle.window)
    log.add(1, 100, START_MS)
    log.add(2, 101, START_MS)
    assert_parity(incremental, plain, [1, 2], log)
    changed = replace(shop, texts=("winter coat steel", *shop.texts[1:]))
    rebound = plain.rebind(changed, np.array([0]))
    incremental.rebind(rebound, shop.keys[:1])
    assert_parity(incremental, rebound, [1, 2], log)
    assert (incremental.counts.full, incremental.counts.unchanged) == (3, 1)


def test_an_item_that_enters_the_catalogue_is_read_anew(bundle: HM4SRBundle, shop: Catalogue) -> None:
    part = Catalogue(
        shop.keys[:-1], shop.item_ids[:-1], shop.texts[:-1], shop.categories[:-1], shop.listed[:-1], revision=1
    )
    plain = bundle.bind(part)
    incremental, log = IncrementalEncoder(plain, memory_mib=1), Log(bundle.window)
    log.add(1, 139, START_MS)
    assert_parity(incremental, plain, [1], log)
    rebound = plain.rebind(shop, np.array([len(part)]))
    incremental.rebind(rebound, shop.keys[-1:])
    assert_parity(incremental, rebound, [1], log)


def test_more_users_at_once_than_there_is_room_for_are_all_answered(
    bundle: HM4SRBundle, shop: Catalogue, make_history: Callable[..., History]
) -> None:
    plain = bundle.bind(shop)
    incremental = IncrementalEncoder(plain, memory_mib=room_for(7, bundle))
    histories = [make_history(1 + user % 10, seed=user) for user in range(50)]
    np.testing.assert_allclose(incremental.encode(list(range(50)), histories), plain.encode(histories), atol=TOLERANCE)
    assert incremental.num_cached_users == 7


def test_the_least_recently_used_user_gives_way(
    bundle: HM4SRBundle, shop: Catalogue, make_history: Callable[..., History]
) -> None:
    incremental = IncrementalEncoder(bundle.bind(shop), memory_mib=room_for(2, bundle))
    histories = {user: [make_history(5, seed=user)] for user in (1, 2, 3)}
    for user in (1, 2, 1, 3):
        incremental.encode([user], histories[user])
    incremental.encode([1], histories[1])
    assert incremental.counts == EncoderCounts(unchanged=2, extended=0, full=3)


def test_a_failure_half_way_leaves_nothing_to_trust(
    bundle: HM4SRBundle, shop: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    incremental, plain, log = walk(bundle, shop, 4)
    log.add(1, 120, START_MS + 10**6)

    def broken(*_: object) -> None:
        msg = "out of memory"
        raise RuntimeError(msg)

    with monkeypatch.context() as patch:
        patch.setattr(FoldedLayer, "finish", broken)  # after the layer has kept its input
        with pytest.raises(RuntimeError, match="out of memory"):
            incremental.encode([1], [log.window(1)])
    assert_parity(incremental, plain, [1], log)
    assert incremental.counts.full == 2


def test_threads_share_one_memory(bundle: HM4SRBundle, shop: Catalogue, make_history: Callable[..., History]) -> None:
    plain = bundle.bind(shop)
    incremental = IncrementalEncoder(plain, memory_mib=room_for(3, bundle))
    histories = [make_history(1 + user, seed=user) for user in range(10)]
    expected = plain.encode(histories)

    def ask(user: int) -> object:
        return incremental.encode([user], [histories[user]])

    with ThreadPoolExecutor(4) as threads:
        for user, vectors in enumerate(threads.map(ask, list(range(10)) * 5)):
            np.testing.assert_allclose(vectors, expected[user % 10 : user % 10 + 1], atol=TOLERANCE)


def test_memory_is_bounded_by_the_setting_and_too_little_of_it_is_refused(bundle: HM4SRBundle) -> None:
    cache = LayerInputCache(bundle.config, memory_mib=2)
    num_bytes = (
        sum(inputs.nbytes for inputs in cache.inputs)
        + cache.vectors.nbytes
        + cache.items.nbytes
        + cache.times_ms.nbytes
    )
    assert 2 * MIB - cache.bytes_per_user <= num_bytes <= 2 * MIB
    with pytest.raises(InvalidSettings, match="wanted room for at least one user"):
        LayerInputCache(bundle.config, memory_mib=0.001)
