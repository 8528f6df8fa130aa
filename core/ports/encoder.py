"""The ports of a trained model. Shapes: B batch, L events, N items, D width of a vector (modalities concatenated)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.arrays import BoolArray, FloatArray, IntArray
from core.blending.blend import Blend
from core.catalogue.items import Catalogue
from core.events.history import History, WindowShape


@dataclass(frozen=True, slots=True)
class EncodedItems:
    """What a binding needs of the N items of its catalogue, as another binding of the same model computed it.

    `slots`: (S, D) their vectors, then that of row -1, then room, which the encoder may write to. `trained`: (N,) see
    `Encoder.trained`.
    """

    slots: FloatArray
    trained: BoolArray


class Encoder(Protocol):
    """A model bound to one catalogue: histories and items become vectors whose inner product is the score."""

    @property
    def width(self) -> int:
        """D: the length of query and item vectors."""
        ...

    def encode(self, histories: Sequence[History]) -> FloatArray:
        """(B, D) vectors of users after their last event; a full re-encode. Histories hold item keys, none is empty."""
        ...

    def query(self, vectors: FloatArray, gaps_ms: IntArray) -> FloatArray:
        """(B, D) queries: the vectors shaped by (B,) gaps from the last event to now."""
        ...

    def gap_step(self, gap_ms: int) -> int:
        """The step of a gap to now: gaps of the same step shape a query alike."""
        ...

    def repeats(self, history: History) -> FloatArray | None:
        """(L,) what each event adds to the score of its own item; None from a model that adds nothing."""
        ...

    def items(self, rows: IntArray) -> FloatArray:
        """(N, D) vectors of items by their rows in the bound catalogue."""
        ...

    def trained(self, rows: IntArray) -> BoolArray:
        """(N,) whether these items, by rows, have been trained on; the others are known by their content alone."""
        ...

    def unseen_items(self, rows: IntArray) -> FloatArray:
        """(N, D) vectors of items, by rows, as they would be if none of them had been trained on."""
        ...

    def rebind(self, catalogue: Catalogue, rows: IntArray) -> Encoder:
        """The encoder over a catalogue made by `Catalogue.with_changes` from the bound one, in the same row order.

        `rows`: the items that are new or whose content changed, ascending; only they are encoded. This encoder still
        encodes as before.
        """
        ...


class ModelBundle(Protocol):
    """A model version: weights, frozen feature transforms and id map. Immutable."""

    @property
    def version(self) -> str:
        """Names the model in answers, stored vectors and lineage."""
        ...

    @property
    def window(self) -> WindowShape:
        """The window that it was trained for."""
        ...

    @property
    def blend(self) -> Blend | None:
        """The weights of encoder, counts and popularity in its answers; None: the encoder alone."""
        ...

    def bind(self, catalogue: Catalogue, *, encoded: EncodedItems | None = None) -> Encoder:
        """The encoder over this catalogue: an item without a trained row is "unseen id" plus its content.

        `encoded`: of all its items, none of which is then read; without it, it encodes all items.
        """
        ...
