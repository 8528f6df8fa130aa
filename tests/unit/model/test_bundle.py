"""The bundle: any item has a vector, binding is cheap to repeat, and company never changes an answer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.catalogue.items import Catalogue
from core.clock import DAY_MS, MINUTE_MS
from core.events.history import History, WindowShape
from core.ports.encoder import EncodedItems
from model.bundle import HM4SRBundle
from model.features import TextFeatures
from model.network.hm4sr import HM4SR, UNSEEN, Features


def test_a_batch_gives_what_one_by_one_gives(
    bundle: HM4SRBundle, shop: Catalogue, make_history: Callable[..., History]
) -> None:
    encoder = bundle.bind(shop)
    histories = [make_history(1 + seed % 10, seed=seed) for seed in range(60)]
    batch = encoder.encode(histories)
    separate = np.concatenate([encoder.encode([history]) for history in histories])
    np.testing.assert_allclose(batch, separate, atol=1e-5)
    assert batch.shape == (60, encoder.width)


def test_of_a_history_longer_than_the_window_the_newest_part_is_read(
    bundle: HM4SRBundle, shop: Catalogue, make_history: Callable[..., History]
) -> None:
    encoder, long = bundle.bind(shop), make_history(25)
    newest = History(long.items[-10:], long.times_ms[-10:])
    np.testing.assert_array_equal(encoder.encode([long]), encoder.encode([newest]))


def test_no_histories_give_no_vectors(bundle: HM4SRBundle, shop: Catalogue) -> None:
    encoder = bundle.bind(shop)
    assert encoder.encode([]).shape == (0, encoder.width)


def test_untrained_items_combine_the_unseen_row_with_their_own_content(bundle: HM4SRBundle, shop: Catalogue) -> None:
    trained, new, other_new = bundle.bind(shop).items(np.array([0, 32, 33]))
    width = bundle.config.width
    unseen = bundle.model.id_embedding[0].numpy()
    np.testing.assert_array_equal(new[:width], unseen)
    assert not np.array_equal(trained[:width], unseen)
    assert not np.array_equal(new[width:], other_new[width:]), "content still tells new items apart"


def test_a_binding_tells_trained_items_and_how_they_would_look_untrained(bundle: HM4SRBundle, shop: Catalogue) -> None:
    encoder, rows = bundle.bind(shop), np.arange(40)
    assert encoder.trained(rows).tolist() == [True] * 30 + [False] * 10
    untrained = HM4SRBundle(HM4SR(bundle.config, num_items=0), (), bundle.sources, "none")
    state = dict(bundle.model.state_dict())
    state["id_embedding"] = state["id_embedding"][:1]
    untrained.model.load_state_dict(state)
    np.testing.assert_allclose(encoder.unseen_items(rows), untrained.bind(shop).items(rows), atol=1e-6)
    np.testing.assert_array_equal(encoder.unseen_items(rows[30:]), encoder.items(rows[30:]))


def test_binding_gives_the_items_the_vectors_that_the_network_gives_them(
    shop: Catalogue, make_network: Callable[..., HM4SR]
) -> None:
    text = TextFeatures.fit(shop, size=4, seed=0)
    assert text is not None
    for fused_id in (False, True):
        network = make_network(30, fused_id=fused_id)
        fused = HM4SRBundle(network, shop.item_ids[:30], (text,), "hm4sr-test")
        values, present = (torch.from_numpy(part) for part in text.transform(text.keys(shop)))
        id_rows = torch.tensor([*range(1, 31), *[UNSEEN] * 10])
        with torch.no_grad():
            expected = network.item_vectors(id_rows, {"text": Features(values, present)})
        np.testing.assert_allclose(fused.bind(shop).items(np.arange(40)), expected.numpy(), atol=1e-6)


def test_histories_may_hold_items_missing_from_the_catalogue(
    bundle: HM4SRBundle, shop: Catalogue, make_history: Callable[..., History]
) -> None:
    history = make_history(5)
    history.items[2] = 999_999
    stranger = bundle.bind(shop).encode([history])
    stub = replace(
        shop,
        keys=np.append(shop.keys, 999_999),
        item_ids=(*shop.item_ids, "stub"),
        texts=(*shop.texts, ""),
        categories=(*shop.categories, ()),
        listed=np.append(shop.listed, False),
    )
    np.testing.assert_allclose(bundle.bind(stub).encode([history]), stranger, atol=1e-6)


def test_an_item_with_empty_text_has_the_absent_vector(bundle: HM4SRBundle, shop: Catalogue) -> None:
    silent = replace(shop, texts=("", *shop.texts[1:]), categories=((), *shop.categories[1:]))
    absent = bundle.model.contents["text"].absent.numpy()
    np.testing.assert_array_equal(bundle.bind(silent).items(np.array([0]))[0, bundle.config.width :], absent)


def test_rebinding_computes_only_the_given_rows(
    bundle: HM4SRBundle, shop: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bundle.bind(shop)
    before = first.items(np.arange(-1, 40))
    changed = replace(
        shop,
        keys=np.append(shop.keys, 999),
        item_ids=(*shop.item_ids, "new"),
        texts=("winter coat steel", *shop.texts[1:], "summer coat"),
        categories=(*shop.categories, ()),
        listed=np.append(shop.listed, True),
    )
    seen: list[list[str]] = []
    transform = TextFeatures.transform

    def watched(self: TextFeatures, keys: list[str]) -> object:
        seen.append(list(keys))
        return transform(self, keys)

    monkeypatch.setattr(TextFeatures, "transform", watched)
    second = first.rebind(changed, np.array([0, 40]))
    assert seen == [["winter coat steel theme0", "summer coat"]]
    rows = np.arange(-1, 41)
    np.testing.assert_allclose(second.items(rows), bundle.bind(changed).items(rows), atol=1e-6)
    np.testing.assert_array_equal(first.items(np.arange(-1, 40)), before)
    assert second.trained(np.array([0, 29, 30, 40])).tolist() == [True, True, False, False]


def test_items_that_are_encoded_are_bound_without_reading_any(
    bundle: HM4SRBundle, shop: Catalogue, make_history: Callable[..., History]
) -> None:
    first, rows = bundle.bind(shop), np.arange(40)
    unreadable = replace(shop, item_ids=range(40), texts=range(40), categories=range(40))  # type: ignore[arg-type]
    encoded = EncodedItems(first.items(np.append(rows, -1)), first.trained(rows))
    second = bundle.bind(unreadable, encoded=encoded)
    np.testing.assert_array_equal(second.encode([make_history(5)]), first.encode([make_history(5)]))
    np.testing.assert_array_equal(second.items(rows), first.items(rows))
    assert second.trained(rows).tolist() == [*[True] * 30, *[False] * 10]


def test_threads_get_what_one_caller_gets(
    bundle: HM4SRBundle, shop: Catalogue, make_history: Callable[..., History]
) -> None:
    histories = [make_history(1 + seed % 10, seed=seed) for seed in range(40)]
    expected = bundle.bind(shop).encode(histories)

    def answer(_: int) -> object:
        return bundle.bind(shop).encode(histories)

    with ThreadPoolExecutor(4) as threads:
        for vectors in threads.map(answer, range(16)):
            np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_the_query_is_the_vector_and_the_window_is_the_configured_one(bundle: HM4SRBundle, shop: Catalogue) -> None:
    vectors = np.ones((2, bundle.config.vector_width), np.float32)
    assert bundle.window == WindowShape(10, 3)
    np.testing.assert_array_equal(bundle.bind(shop).query(vectors, np.array([0, 5])), vectors)


def test_gaps_of_one_step_shape_a_query_alike(shop: Catalogue, make_network: Callable[..., HM4SR]) -> None:
    network = make_network(30, now_gap=True)
    assert network.now_gap is not None
    torch.nn.init.normal_(network.now_gap.shift)
    text = TextFeatures.fit(shop, size=4, seed=0)
    assert text is not None
    encoder = HM4SRBundle(network, shop.item_ids[:30], (text,), "hm4sr-test").bind(shop)
    gaps_ms = [0, MINUTE_MS - 1, MINUTE_MS, 5 * MINUTE_MS, DAY_MS, DAY_MS + 1, 400 * DAY_MS]
    vectors = np.ones((len(gaps_ms), encoder.width), np.float32)
    queries = [query.tobytes() for query in encoder.query(vectors, np.array(gaps_ms))]
    steps = [encoder.gap_step(gap_ms) for gap_ms in gaps_ms]
    for step, query in zip(steps, queries, strict=True):
        assert [other == query for other in queries] == [other == step for other in steps]
    assert len(set(steps)) == 5
