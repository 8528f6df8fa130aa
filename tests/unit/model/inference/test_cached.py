"""The cached bundle: through the ordinary ports, every answer is that of the plain bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from core.catalogue.items import Catalogue
from core.events.history import History
from core.ports.encoder import Encoder, ModelBundle
from model.bundle import HM4SRBundle
from model.inference.cached import SMALLEST_BATCH, CachedBundle, CachedEncoder

TOLERANCE = 1e-5


def grown(history: History) -> History:
    """The history after one more event."""
    return History(np.append(history.items, 107), np.append(history.times_ms, history.times_ms[-1] + 5_000))


def assert_same(cached: Encoder, plain: Encoder, histories: list[History]) -> None:
    np.testing.assert_allclose(cached.encode(histories), plain.encode(histories), atol=TOLERANCE)


def test_batches_are_extended_and_answered_as_by_the_plain_bundle(
    bundle: HM4SRBundle, shop: Catalogue, make_history: Callable[..., History]
) -> None:
    cached_bundle: ModelBundle = CachedBundle(bundle, memory_mib=1)
    cached, plain = cached_bundle.bind(shop), bundle.bind(shop)
    assert isinstance(cached, CachedEncoder)
    histories = [make_history(1 + seed % 9, seed=seed) for seed in range(20)]
    for _ in range(3):
        assert_same(cached, plain, histories)
        histories = [grown(history) for history in histories]
    assert cached.incremental.counts.extended > 20
    assert (cached_bundle.version, cached_bundle.window) == (bundle.version, bundle.window)


def test_windows_that_begin_alike_are_each_answered_by_their_own(
    bundle: HM4SRBundle, shop: Catalogue, make_history: Callable[..., History]
) -> None:
    history = make_history(6)
    sibling = History(np.append(history.items[:1], 120), history.times_ms[:2])
    assert_same(CachedBundle(bundle, memory_mib=1).bind(shop), bundle.bind(shop), [history, sibling] * SMALLEST_BATCH)


def test_a_single_history_never_waits_for_the_memory(
    bundle: HM4SRBundle, shop: Catalogue, make_history: Callable[..., History]
) -> None:
    cached = CachedBundle(bundle, memory_mib=1).bind(shop)
    cached.encode([make_history(5)])
    assert cached.incremental.counts.full == 0


def test_an_older_binding_goes_on_answering_by_its_own_catalogue(
    bundle: HM4SRBundle, shop: Catalogue, make_history: Callable[..., History]
) -> None:
    changed = replace(shop, texts=tuple(reversed(shop.texts)))
    cached_bundle = CachedBundle(bundle, memory_mib=1)
    old, new = cached_bundle.bind(shop), cached_bundle.bind(changed)
    histories = [make_history(5, seed=seed) for seed in range(10)]
    for _ in range(2):
        assert_same(old, bundle.bind(shop), histories)
        assert_same(new, bundle.bind(changed), histories)
    assert np.abs(old.encode(histories) - new.encode(histories)).max() > 1e-3


def test_items_and_queries_are_those_of_the_plain_binding(bundle: HM4SRBundle, shop: Catalogue) -> None:
    cached, plain = CachedBundle(bundle, memory_mib=1).bind(shop), bundle.bind(shop)
    rows, vectors = np.arange(40), np.ones((2, plain.width), np.float32)
    assert cached.width == plain.width
    np.testing.assert_array_equal(cached.items(rows), plain.items(rows))
    np.testing.assert_array_equal(cached.query(vectors, np.array([0, 1])), plain.query(vectors, np.array([0, 1])))
