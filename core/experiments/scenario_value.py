"""What a scenario would have earned: stored answers of an exploring scenario, replayed under the other one.

Each answer is computed again from the user's events before it, as an inline session, because the present history holds
what came after. Only answers by the serving model count: a later one was trained on what the user clicked. Popularity
and counts of transitions are those of now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.errors import InvalidInput
from core.events.interactions import EventTypes
from core.experiments.comparison import MIN_USERS
from core.experiments.replayed_log import ReplayedLog
from core.ports.store import ReadTransaction, Store
from core.recommendation.recommender import Recommender
from core.recommendation.requests import RecommendationRequest, SessionEvent
from core.recommendation.snapshots.snapshot import ServingSnapshot
from core.records.outcomes import Measure, StoredAnswer
from core.scenarios.scenario import Scenario

MAX_EVENTS = 500  # of a user before an answer


@dataclass(frozen=True, slots=True)
class LogReplay:
    """Replays stored answers on the snapshot that serves."""

    store: Store
    recommender: Recommender
    snapshots: Callable[[], ServingSnapshot]
    types: EventTypes

    def of(self, scenario: Scenario, *, logged: str, max_answers: int, exclude_seen: bool) -> ReplayedLog:
        """The newest answers under the scenario named `logged`, beside those of `scenario` without exploration.

        Costs a recommendation for each answer. Raises `InvalidInput` for conditions on users, and where fewer than
        100 users got answers in which something was drawn. `exclude_seen`: where the scenario does not say.
        """
        if scenario.depends_on_user:
            msg = f"scenario: wanted one without conditions on users, got {scenario.name!r}"
            raise InvalidInput(msg, field="scenario")
        scenario = replace(scenario, exploration=None)
        exclude_seen = exclude_seen if scenario.exclude_seen is None else scenario.exclude_seen
        request = RecommendationRequest(exclude_seen=exclude_seen, scenario=scenario, record=False)
        with self.store.read() as read:
            answers = self._answers(read, logged, max_answers)
            events = [self._events(read, answer) for answer in answers]
            outcomes = read.outcomes.of_answers([answer.key for answer in answers])
        lists = [self._list(answer, before, request) for answer, before in zip(answers, events, strict=True)]
        clicked = {(each.answer_key, each.position) for each in outcomes if each.measure == Measure.CLICK}
        return ReplayedLog.of(answers, lists, clicked)

    def _answers(self, read: ReadTransaction, logged: str, limit: int) -> list[StoredAnswer]:
        """Those of the model that serves, and those without a model."""
        model = self.snapshots().model
        versions = {"", "" if model is None else model.version}
        origins = read.answers.origins().items()
        keys = [key for key, origin in origins if origin.scenario == logged and origin.model_version in versions]
        answers = read.answers.randomised(keys, limit=limit)
        num_users = len({answer.user_id for answer in answers})
        if num_users < MIN_USERS:
            msg = (
                f"scenario {logged!r}: wanted answers with propensities below 1 to at least {MIN_USERS} users by the "
                f"serving model, got {num_users} users; add exploration to the scenario and wait for answers"
            )
            raise InvalidInput(msg)
        return answers

    def _events(self, read: ReadTransaction, answer: StoredAnswer) -> list[SessionEvent]:
        """The user's events before an answer."""
        user = read.users.find(str(answer.user_id))
        if user is None:
            return []
        codes, catalogue = self.types.flagged("window"), self.snapshots().catalogue
        rows = read.events.recent(user.key, type_codes=codes, limit=MAX_EVENTS, before=(answer.time_ms, 0))
        places = catalogue.rows(np.array([row.item_key for row in rows], np.int64)).tolist()
        known = (pair for pair in zip(places, rows, strict=True) if pair[0] >= 0)
        return [SessionEvent(catalogue.item_ids[place], row.time_ms) for place, row in known]

    def _list(self, answer: StoredAnswer, events: Sequence[SessionEvent], request: RecommendationRequest) -> list[int]:
        """The item keys that the other scenario would have shown."""
        request = replace(request, n=len(answer.item_keys), at_ms=answer.time_ms)
        result = self.recommender.recommend_session(events, request)
        catalogue = self.snapshots().catalogue
        rows = catalogue.rows_of_ids([item.item_id for item in result.items])
        keys: list[int] = catalogue.keys[rows].tolist()
        return keys
