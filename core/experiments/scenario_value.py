"""What a scenario would have earned: stored answers of an exploring scenario, replayed under the other one.

Each answer is computed again from the user's events before it, as an inline session, because the present history holds
what came after. For the same reason popularity and counts of transitions are those of the answer's time, at most a
fiftieth of the answers old, and only answers by the serving model count: a later one was trained on what users clicked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.errors import InvalidInput
from core.events.interactions import EventTypes
from core.experiments.comparison import MIN_USERS
from core.experiments.past_snapshots import PastSnapshots
from core.experiments.replayed_log import ReplayedLog
from core.ports.store import ReadTransaction, Store
from core.recommendation.recommender import Recommender
from core.recommendation.requests import RecommendationRequest, SessionEvent
from core.recommendation.snapshots.snapshot import ServingSnapshot
from core.records.outcomes import Measure, StoredAnswer
from core.scenarios.scenario import Scenario

MAX_EVENTS = 500  # of a user before an answer
NUM_MOMENTS = 50  # at which counts are renewed


@dataclass(frozen=True, slots=True)
class LogReplay:
    """Replays stored answers. `recommender_on`: makes the recommender of a source of snapshots.

    `half_life_ms`: of popularity.
    """

    store: Store
    recommender_on: Callable[[Callable[[], ServingSnapshot]], Recommender]
    snapshots: Callable[[], ServingSnapshot]
    types: EventTypes
    half_life_ms: float

    def of(self, scenario: Scenario, *, logged: str, max_answers: int, exclude_seen: bool) -> ReplayedLog:
        """The newest answers under the scenario named `logged`, beside those of `scenario` without exploration.

        Costs a recommendation for each answer, and reads all windowed events. Raises `InvalidInput` for conditions on
        users, and where fewer than 100 users got answers in which something was drawn. `exclude_seen`: where the
        scenario does not say.
        """
        if scenario.depends_on_user:
            msg = f"scenario: wanted one without conditions on users, got {scenario.name!r}"
            raise InvalidInput(msg, field="scenario")
        scenario = replace(scenario, exploration=None)
        exclude_seen = exclude_seen if scenario.exclude_seen is None else scenario.exclude_seen
        request = RecommendationRequest(exclude_seen=exclude_seen, scenario=scenario, record=False)
        with self.store.read() as read:
            answers = sorted(self._answers(read, logged, max_answers), key=lambda answer: answer.time_ms)
            events = [self._events(read, answer) for answer in answers]
            outcomes = read.outcomes.of_answers([answer.key for answer in answers])
            until_ms = answers[-1].time_ms
            past = PastSnapshots(read, self.snapshots(), self.types, until_ms=until_ms, half_life_ms=self.half_life_ms)
        lists: list[list[int]] = []
        size = -(-len(answers) // NUM_MOMENTS)
        for first in range(0, len(answers), size):
            group = slice(first, first + size)
            lists += self._lists(past.at(answers[first].time_ms), request, answers[group], events[group])
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

    def _lists(
        self,
        snapshot: ServingSnapshot,
        request: RecommendationRequest,
        answers: Sequence[StoredAnswer],
        events: Sequence[Sequence[SessionEvent]],
    ) -> list[list[int]]:
        """The item keys of the lists that the request gives in place of answers, each after the user's events."""
        recommender, catalogue = self.recommender_on(lambda: snapshot), snapshot.catalogue
        lists: list[list[int]] = []
        for answer, before in zip(answers, events, strict=True):
            own = replace(request, n=len(answer.item_keys), at_ms=answer.time_ms)
            item_ids = [item.item_id for item in recommender.recommend_session(before, own).items]
            lists.append(catalogue.keys[catalogue.rows_of_ids(item_ids)].tolist())
        return lists
