"""Kept answers: the answer to a request whose list is kept, by one small query and without any other work.

For a thread that must not wait, such as an event loop. Whatever is not certain at once is left to the recommender.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from core.clock import Clock
from core.ports.store import Store
from core.recommendation.kept_lists import KeptLists, Moment, WantedList
from core.recommendation.requests import RankedList, RecommendationRequest, RecommendationResult
from core.recommendation.snapshots.snapshot import ServingSnapshot
from core.records.outcomes import new_recommendation_id
from core.records.stored import UserState, UserVersion


class KeptAnswers:
    """Answers by the lists that a recommender keeps; thread-safe."""

    def __init__(
        self, store: Store, lists: KeptLists, *, snapshots: Callable[[], ServingSnapshot], clock: Clock
    ) -> None:
        self._store = store
        self._lists = lists
        self._snapshots = snapshots
        self._clock = clock

    def find(self, user_id: str, request: RecommendationRequest) -> RecommendationResult | None:
        """The answer that the recommender would give; None where it would compute the list."""
        if request.depends_on_user or not self._lists.may_hold(user_id, request):
            return None
        serving = self._snapshots()
        snapshot, request = pinned(serving, request)
        now_ms = self._clock.now_ms()
        with self._store.read(snapshot=False) as read:
            revision, user = read.users.version(user_id)
        gap_ms = gap_since(None if user is None else user.newest_ms, now_ms)
        wanted = WantedList(user_id, request, user, gap_step(snapshot, gap_ms))
        ranked = self._lists.find(Moment.of(serving, revision, now_ms), wanted)
        return None if ranked is None else answer_of(ranked, request, now_ms, user=user, gap_ms=gap_ms)


def pinned(snapshot: ServingSnapshot, request: RecommendationRequest) -> tuple[ServingSnapshot, RecommendationRequest]:
    """The snapshot of the request's model; that of the champion, outside its experiment, if it was just unloaded."""
    of_model = snapshot.of(request.model)
    return (snapshot, replace(request, arm="", model="")) if of_model is None else (of_model, request)


def gap_since(newest_ms: int | None, now_ms: int) -> int | None:
    """The gap from the last event of a history to the answer; None without one."""
    return None if newest_ms is None else max(0, now_ms - newest_ms)


def gap_step(snapshot: ServingSnapshot, gap_ms: int | None) -> int:
    """The step of a gap to now for the model of a snapshot; 0 without a gap or a model."""
    return 0 if snapshot.model is None or gap_ms is None else snapshot.model.encoder.gap_step(gap_ms)


def answer_of(
    ranked: RankedList,
    request: RecommendationRequest,
    now_ms: int,
    *,
    user: UserState | UserVersion | None = None,
    gap_ms: int | None = None,
    excluded: Mapping[str, str] | None = None,
) -> RecommendationResult:
    """An answer with this list. `excluded`: requested items that it lacks, with the reasons."""
    return RecommendationResult(
        new_recommendation_id(now_ms),
        ranked,
        now_ms,
        user.seq if user else None,
        gap_ms,
        excluded or {},
        scenario=request.scenario.name if request.scenario else "",
        arm=request.arm,
        user_key=user.key if user else None,
    )
