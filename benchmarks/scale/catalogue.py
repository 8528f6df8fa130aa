"""A large catalogue from a small trained one: items multiplied within their clusters, and a model that knows them.

A new item is a known one, moved by half the difference of two others of its cluster, at the known one's length; its
title is made from that of the known one. So vectors keep the clusters, directions and lengths of a trained table.
Shapes: N known items, K new items, D width of the id embedding.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import torch

from core.arrays import FloatArray, IntArray
from core.catalogue.items import Item
from core.clock import WallClock
from core.learn.versions import promote, propose
from core.manage import save_items
from core.records.stored import ModelRecord
from model.bundle import HM4SRBundle
from model.checkpoint import save, version_of
from model.network.hm4sr import HM4SR
from tidewise.bootstrap import MODELS_FOLDER, System, load_model

CLUSTERS = 64
STEP = 0.5
BATCH = 20_000
BUCKETS = 200  # of the attribute that filters use: 100, 10 or 1 of them are 50%, 5% or 0.5% of the items
SEED = 1


def multiply(system: System, num_items: int) -> int:
    """Add items until `num_items` are listed, and promote a model with id rows for them; returns how many there are."""
    with system.store.read() as read:
        champion = read.models.champion()
        catalogue = read.items.catalogue(include_uncatalogued=False)
    assert champion is not None, "wanted a data folder with a trained model"
    bundle = load_model(system.settings, champion)
    known = [row for row, listed in enumerate(catalogue.listed) if listed]
    trained = bundle.id_rows([catalogue.item_ids[row] for row in known])
    table = bundle.model.id_embedding.detach().numpy()
    num_new = max(0, num_items - len(known))
    places, vectors = moved(table[trained], num_new)
    new = [_item(f"copy-{number}", catalogue.texts[known[place]], number) for number, place in enumerate(places)]
    old = [_item(catalogue.item_ids[row], catalogue.texts[row], row) for row in known]
    items = [*old, *new]
    for begin in range(0, len(items), BATCH):
        save_items(system.store, items[begin : begin + BATCH])
    if new:
        _promote(system, _with_rows(bundle, [item.item_id for item in new], vectors))
    return len(items)


def moved(table: FloatArray, num_new: int) -> tuple[IntArray, FloatArray]:
    """(K,) places of the items that the new ones resemble, and (K, D) vectors, from an (N, D) table."""
    random = np.random.default_rng(SEED)
    kmeans = faiss.Kmeans(table.shape[1], CLUSTERS, niter=8, seed=SEED, min_points_per_centroid=1)
    kmeans.train(table)
    lists = kmeans.index.search(table, 1)[1][:, 0]
    order = np.argsort(lists, kind="stable")
    begins = np.searchsorted(lists[order], np.arange(CLUSTERS + 1))
    places = random.integers(0, len(table), num_new)
    begin, size = begins[lists[places]], np.diff(begins)[lists[places]]
    left, right = (order[begin + (random.random(num_new) * size).astype(np.int64)] for _ in range(2))
    vectors = table[places] + STEP * (table[left] - table[right])
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scale = np.linalg.norm(table[places], axis=1, keepdims=True) / np.maximum(lengths, 1e-12)
    return places, (vectors * scale).astype(np.float32)


def _item(item_id: str, text: str, number: int) -> Item:
    title = f"{text[:60]} {number}"
    return Item(item_id, title, text, attributes={"bucket": number % BUCKETS})


def _with_rows(bundle: HM4SRBundle, item_ids: list[str], vectors: FloatArray) -> HM4SRBundle:
    """The bundle with id rows for more items."""
    network = HM4SR(bundle.config, num_items=bundle.model.num_items + len(item_ids))
    state = dict(bundle.model.state_dict())
    state["id_embedding"] = torch.cat([state["id_embedding"], torch.from_numpy(vectors)])
    network.load_state_dict(state)
    grown = replace(bundle, model=network, item_ids=(*bundle.item_ids, *item_ids))
    return replace(grown, version=version_of(grown))


def _promote(system: System, bundle: HM4SRBundle) -> None:
    path = Path(MODELS_FOLDER) / bundle.version
    save(bundle, system.settings.data.folder / path)
    now_ms = WallClock().now_ms()
    with system.store.transaction() as tx:
        propose(tx, ModelRecord(bundle.version, str(path), "challenger", now_ms))
        promote(tx, bundle.version, decided_by="benchmark", reason="a larger catalogue", now_ms=now_ms)
        tx.commit()
