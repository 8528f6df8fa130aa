"""The choice of a ranker: the model where one serves, else transition counts, else popularity, and why."""

from __future__ import annotations

import numpy as np

from core.arrays import FloatArray, IntArray
from core.blending.blend import COUNTS_BLEND
from core.events.history import EMPTY_HISTORY, History
from core.recommendation.ranking.added_scores import NOTHING_ADDED, repeat_scores
from core.recommendation.ranking.blended_ranker import BlendedRanker
from core.recommendation.ranking.neighbour_scores import NeighbourScores
from core.recommendation.ranking.rankers import ModelRanker, PopularityRanker, Ranker
from core.recommendation.snapshots.bound_model import BoundModel
from core.recommendation.snapshots.snapshot import ServingSnapshot
from core.records.stored import UserState


def ranker_of(snapshot: ServingSnapshot, state: UserState | None, hidden: IntArray, query: FloatArray | None) -> Ranker:
    """The ranker of a user. `hidden`: keys of the items that the user's events rule out.

    `query`: (D,) of the user's history; None where it is empty, or no model serves.
    """
    history = state.window.history if state else EMPTY_HISTORY
    if not len(history):
        return PopularityRanker(snapshot, "the user is unknown" if state is None else "the user has no history")
    if snapshot.model is None or query is None:
        return without_model(snapshot, history, hidden)
    return by_model(snapshot, snapshot.model, query, history, hidden, "ranked by the user's history")


def by_model(
    snapshot: ServingSnapshot, model: BoundModel, query: FloatArray, history: History, hidden: IntArray, reason: str
) -> Ranker:
    """A ranking by the model, blended with counts if the model has weights for them."""
    repeats = repeat_scores(model.encoder, snapshot.catalogue, history)
    if model.blend is None or snapshot.counts is None or snapshot.values is None:
        return ModelRanker(model, query, reason, repeats)
    gains = snapshot.values.gains
    neighbours = NeighbourScores.of(model.blend, snapshot.counts, snapshot.catalogue, history, hidden, gains)
    weight = np.float32(model.blend.encoder)
    return BlendedRanker(snapshot, model, weight * query, repeats.times(weight), neighbours, reason)


def without_model(snapshot: ServingSnapshot, history: History, hidden: IntArray) -> Ranker:
    """A ranking by transition counts and popularity, or by popularity where nothing is counted."""
    reason = "no model serves yet"
    if snapshot.counts is None or snapshot.values is None:
        return PopularityRanker(snapshot, reason)
    gains = snapshot.values.gains
    neighbours = NeighbourScores.of(COUNTS_BLEND, snapshot.counts, snapshot.catalogue, history, hidden, gains)
    if not len(neighbours.added.rows):
        return PopularityRanker(snapshot, reason)
    reason = f"ranked by what often followed the user's last items; {reason}"
    return BlendedRanker(snapshot, None, None, NOTHING_ADDED, neighbours, reason)
