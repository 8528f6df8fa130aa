"""Recall@10 of whole answers, blended and filtered, against the same answers by brute force over the catalogue."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.scale.catalogue import BUCKETS
from core.catalogue.attributes import Between, Condition
from core.catalogue.filters import Filter
from core.recommendation.kept_lists import KeptLists
from core.recommendation.recommender import Recommender
from core.recommendation.requests import RecommendationRequest, RecommendationResult
from core.recommendation.snapshots.snapshot import ServingSnapshot
from core.recommendation.user_vectors.user_snapshots import UserSnapshots
from core.recommendation.user_vectors.vector_cache import VectorCache
from tidewise.bootstrap import System

ANSWERS = 10
POLL_S = 0.2
CACHE_MIB = 64
FILTERS: Mapping[str, Filter] = {
    "all": (),
    **{f"{share:g}%": (Condition("bucket", (Between(0, share * BUCKETS / 100 - 1),)),) for share in (50.0, 5.0, 0.5)},
}


def compacted(system: System) -> ServingSnapshot:
    """The snapshot once its indexes are built as they will be."""
    system.snapshots.refresh()
    while (model := system.snapshots.current().model) is not None and not model.is_settled:
        time.sleep(POLL_S)
        system.snapshots.refresh()
    return system.snapshots.current()


def recall_of_answers(system: System, users: Sequence[str]) -> dict[str, float]:
    """The mean recall@10 over users, for each of `FILTERS`; any item of the tenth score counts."""
    snapshot = compacted(system)
    assert snapshot.model is not None
    vectors = snapshot.model.encoder.items(np.arange(len(snapshot.catalogue)))
    brute_force = replace(snapshot, model=replace(snapshot.model, vectors=vectors))
    served, exact = _recommender(system, snapshot), _recommender(system, brute_force)
    return {name: _recall(served, exact, users, where) for name, where in FILTERS.items()}


def _recommender(system: System, snapshot: ServingSnapshot) -> Recommender:
    return Recommender(
        system.store,
        snapshots=lambda: snapshot,
        clock=system.clock,
        types=system.types,
        shape=system.shape,
        vectors=VectorCache(max_mib=CACHE_MIB),
        users=UserSnapshots(max_mib=CACHE_MIB),
        lists=KeptLists(max_mib=CACHE_MIB),
    )


def _recall(served: Recommender, exact: Recommender, users: Sequence[str], where: Filter) -> float:
    now_ms = int(time.time() * 1000)
    request = RecommendationRequest(n=ANSWERS, where=where, at_ms=now_ms)
    num_found = num_wanted = 0
    for user in users:
        wanted, found = _scores(exact.recommend(user, request)), _scores(served.recommend(user, request))
        tolerance = 1e-4 * (1 + abs(wanted[-1]))
        num_found += sum(score >= wanted[-1] - tolerance for score in found)
        num_wanted += len(wanted)
    return num_found / num_wanted


def _scores(result: RecommendationResult) -> list[float]:
    return [item.score for item in result.items if item.score is not None]
