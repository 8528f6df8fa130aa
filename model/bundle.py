"""A model version as the rest of the system sees it: immutable weights, feature sources, id map; bound to a catalogue.

Implements the ports `ModelBundle` and `Encoder`. Independent of training or disks. Everything here may be called
from several threads at once. Shapes: N items, B batch, L events, C width of a vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.arrays import BoolArray, FloatArray, IntArray
from core.blending.blend import Blend
from core.catalogue.columns import with_rows
from core.catalogue.items import Catalogue
from core.events.history import History, WindowShape
from core.ports.encoder import EncodedItems
from model.features import FeatureSource
from model.item_table import ItemTable
from model.network.config import ModelConfig
from model.network.hm4sr import HM4SR, UNSEEN, Features

MAX_BATCH_EVENTS = 8192  # events encoded at once: bounds memory, and is far beyond where speed stops rising


def batches_by_length(lengths: IntArray) -> Iterator[IntArray]:
    """Indices of histories in batches of similar length, so that little is padded."""
    order = np.argsort(lengths, kind="stable")
    begin = 0
    while begin < len(order):
        end = begin + 1
        while end < len(order) and (end + 1 - begin) * lengths[order[end]] <= MAX_BATCH_EVENTS:
            end += 1
        yield order[begin:end]
        begin = end


@dataclass(frozen=True)
class BoundEncoder:
    """A model bound to one catalogue. The last row of `table` is an item that the catalogue does not hold.

    `has_id_row`: (N,) which items have an id row of their own.
    """

    bundle: HM4SRBundle
    catalogue: Catalogue
    table: ItemTable
    has_id_row: BoolArray

    @property
    def model(self) -> HM4SR:
        """The network."""
        return self.bundle.model

    def rebind(self, catalogue: Catalogue, rows: IntArray) -> BoundEncoder:
        """The encoder over a successor of its catalogue; only these rows are encoded (see `core.ports.encoder`)."""
        changed = catalogue.take(rows)
        id_rows = self.bundle.id_rows(changed.item_ids)
        has_id_row = with_rows(self.has_id_row, rows, id_rows != UNSEEN)
        table = self.table.with_rows(rows, self.bundle.item_vectors(changed, id_rows))
        return BoundEncoder(self.bundle, catalogue, table, has_id_row)

    @property
    def width(self) -> int:
        """C: the length of query and item vectors."""
        return self.model.config.vector_width

    def items(self, rows: IntArray) -> FloatArray:
        """(N, C) vectors of items by their rows in the catalogue; row -1 is an item it does not hold."""
        return self.table.take(rows)

    def trained(self, rows: IntArray) -> BoolArray:
        """(N,) whether the model has been trained on these items; the others have the id row of all unseen ones."""
        return self.has_id_row[rows]

    def unseen_items(self, rows: IntArray) -> FloatArray:
        """(N, C) vectors of items with the id row of all unseen ones; computed at each call."""
        return self.bundle.item_vectors(self.catalogue.take(rows), np.full(len(rows), UNSEEN, np.int64))

    def query(self, vectors: FloatArray, gaps_ms: IntArray) -> FloatArray:
        """(B, C) queries: the vectors shaped by the gap from the last event to now, where the model reads it."""
        assert len(vectors) == len(gaps_ms)
        now_gap = self.model.now_gap
        if now_gap is None:
            return vectors
        with torch.inference_mode():
            shaped_BC: Tensor = now_gap(torch.from_numpy(vectors), now_gap.rows(torch.from_numpy(gaps_ms)))
        return shaped_BC.numpy()

    def gap_step(self, gap_ms: int) -> int:
        """The step of a gap to now: gaps of the same step shape a query alike."""
        now_gap = self.model.now_gap
        return 0 if now_gap is None else int(now_gap.rows(torch.tensor([gap_ms])))

    def repeats(self, history: History) -> FloatArray | None:
        """(L,) what each event adds to the score of its own item, those before the window nothing; None: none does."""
        repeats = self.model.repeats
        if repeats is None:
            return None
        times_ms_W = history.times_ms[-self.model.config.window.size :]
        last = torch.tensor([len(times_ms_W) - 1])
        added_L = np.zeros(len(history), np.float32)
        with torch.inference_mode():  # a copy: a stored window's array can't be written to, of which torch warns
            added_L[-len(times_ms_W) :] = repeats(torch.from_numpy(times_ms_W.copy())[None], last)[0].numpy()
        return added_L

    def encode(self, histories: Sequence[History]) -> FloatArray:
        """(B, C) queries after the last event of each history; of one longer than the window, its newest part."""
        size = self.model.config.window.size
        out_BC = np.empty((len(histories), self.width), np.float32)
        lengths_B = np.array([min(len(history), size) for history in histories], np.int64)
        assert len(histories) == 0 or lengths_B.min() > 0, "an empty history has no vector"
        for batch in batches_by_length(lengths_B):
            out_BC[batch] = self._encode([histories[row] for row in batch], lengths_B[batch])
        return out_BC

    def _encode(self, histories: Sequence[History], lengths_B: IntArray) -> FloatArray:
        """One padded batch. Padding repeats nothing real: item -1 after the end, where causal attention can't look."""
        keys_BL = np.full((len(histories), int(lengths_B.max())), -1, np.int64)
        times_ms_BL = np.zeros_like(keys_BL)
        for row, (history, length) in enumerate(zip(histories, lengths_B, strict=True)):
            keys_BL[row, :length] = history.items[-length:]
            times_ms_BL[row, :length] = history.times_ms[-length:]
        rows_BL = self.catalogue.rows(keys_BL.ravel())
        with torch.inference_mode():
            items_BLC = torch.from_numpy(self.table.take(rows_BL)).view(*keys_BL.shape, self.width)
            queries_BC = self.model.last(items_BLC, torch.from_numpy(times_ms_BL), torch.from_numpy(lengths_B))
        return queries_BC.numpy()


@dataclass(frozen=True)
class HM4SRBundle:
    """Immutable: weights, frozen feature sources, and the ids of the items with a trained row.

    Row i + 1 is `item_ids[i]`; row 0 stands in for every other item. `report` says how the model was trained. `blend`:
    the weights of the encoder beside live counts; None: it ranks alone.
    """

    model: HM4SR
    item_ids: tuple[str, ...]
    sources: tuple[FeatureSource, ...]
    version: str
    report: Mapping[str, Any] = field(default_factory=dict)
    blend: Blend | None = None

    def __post_init__(self) -> None:
        assert len(self.item_ids) == self.model.num_items
        assert tuple(source.name for source in self.sources) == tuple(c.name for c in self.config.contents)
        self.model.eval().requires_grad_(False)

    @property
    def config(self) -> ModelConfig:
        """The shape of the model."""
        return self.model.config

    @property
    def window(self) -> WindowShape:
        """The window that it was trained for."""
        return self.config.window

    @cached_property
    def _rows(self) -> Mapping[str, int]:
        return {item_id: row for row, item_id in enumerate(self.item_ids, start=1)}

    def id_rows(self, item_ids: Sequence[str]) -> IntArray:
        """The trained row of each item, or the row that stands in for all others."""
        return np.fromiter((self._rows.get(item_id, UNSEEN) for item_id in item_ids), np.int64, len(item_ids))

    def bind(self, catalogue: Catalogue, *, encoded: EncodedItems | None = None) -> BoundEncoder:
        """The encoder over this catalogue; what is `encoded` is not read again (see `core.ports.encoder`)."""
        if encoded is not None:
            return BoundEncoder(self, catalogue, ItemTable.in_place(encoded.slots, len(catalogue)), encoded.trained)
        id_rows = self.id_rows(catalogue.item_ids)
        table = ItemTable.of(self.item_vectors(catalogue, id_rows, and_absent=True))
        return BoundEncoder(self, catalogue, table, id_rows != UNSEEN)

    def item_vectors(self, catalogue: Catalogue, id_rows: IntArray, *, and_absent: bool = False) -> FloatArray:
        """(N, C) vectors of all items with (N,) id rows; `and_absent`: a last row for an item that it does not hold."""
        id_rows_N = torch.from_numpy(np.append(id_rows, UNSEEN) if and_absent else id_rows)
        with torch.inference_mode():
            contents = [self._contents(source, catalogue, and_absent=and_absent) for source in self.sources]
            projected = [content_ND[:, : self.config.width] for content_ND, _ in contents]
            parts = self.model.weighted(projected, [present_N for _, present_N in contents])
            if self.config.use_id:
                ids_ND = self.model.id_embedding[id_rows_N]
                if self.config.fuses_id:
                    ids_ND = sum((content_ND[:, self.config.width :] for content_ND, _ in contents), ids_ND)
                parts = [ids_ND, *parts]
            return torch.cat(parts, dim=-1).numpy()

    def _contents(self, source: FeatureSource, catalogue: Catalogue, *, and_absent: bool) -> tuple[Tensor, Tensor]:
        """(N, D or 2 D) projected contents, and (N,) which items have one; the same content is computed once."""
        keys = [*source.keys(catalogue), *([""] if and_absent else ())]
        distinct = {key: index for index, key in enumerate(dict.fromkeys(keys))}
        values, present = source.transform(list(distinct))
        features = Features(torch.from_numpy(values), torch.from_numpy(present))
        projections = [kind[source.name] for kind in (self.model.contents, self.model.fused) if source.name in kind]
        projected = torch.cat([projection(features) for projection in projections], dim=-1)
        indices = torch.tensor([distinct[key] for key in keys], dtype=torch.int64)
        return projected[indices], features.present[indices]
