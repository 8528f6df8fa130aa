"""The demo's drift as calls: the alarm, a user whose interest shifted, and the fine-tuned model.

Uses the HTTP API only; `tidewise.demo.drift_tour` prints the results.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from core.events.interactions import Interaction
from tidewise.client import Client, Json

ALARM_TIMEOUT_S = 120.0
MODEL_TIMEOUT_S = 300.0
PAUSE_S = 0.5
MAX_CANDIDATES = 60


@dataclass(frozen=True, slots=True)
class DriftGuide:
    """Waits for what the server detects and trains; `now_s` and `pause` are the clock."""

    client: Client
    now_s: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep

    def alarm(self) -> Json | None:
        """The newest alarm of the signal `categories`, else of any; None after the timeout."""

        def newest() -> Json | None:
            alarms = self.client.drift()["alarms"]
            return next((alarm for alarm in alarms if alarm["signal"] == "categories"), alarms[0] if alarms else None)

        return self._wait(newest, ALARM_TIMEOUT_S)

    def affected_user(self, candidates: Sequence[str], category: str) -> Json | None:
        """The interests of the first of these users whose interest shifted to a category, as the server says."""
        for user_id in candidates[:MAX_CANDIDATES]:
            interests = self.client.interests(user_id)
            if interests["drift"]["detected"] and category in interests["drift"]["target"]:
                return interests
        return None

    def fine_tuned_model(self, parent: str) -> Json | None:
        """The fine-tuned child of a model once the gate has judged it; None after the timeout."""

        def judged() -> Json | None:
            children = (model for model in self.client.models()["models"] if model["lineage"].get("parent") == parent)
            return next((model for model in children if model["lineage"].get("trials")), None)

        return self._wait(judged, MODEL_TIMEOUT_S)

    def answer_of(self, version: str, user_id: str) -> Json:
        """A user's recommendations once a version serves; after the timeout, the current ones."""

        def served() -> Json | None:
            answer = self.client.recommend(user_id)
            return answer if answer["model_version"] == version else None

        return self._wait(served, ALARM_TIMEOUT_S) or self.client.recommend(user_id)

    def _wait(self, request: Callable[[], Json | None], timeout_s: float) -> Json | None:
        deadline_s = self.now_s() + timeout_s
        while (answer := request()) is None and self.now_s() < deadline_s:
            self.pause(PAUSE_S)
        return answer


def visitors_of(events: Sequence[Interaction], item_ids: Collection[str]) -> list[str]:
    """Users with events on these items, most events first."""
    counts = Counter(event.user_id for event in events if event.item_id in item_ids)
    return sorted(counts, key=lambda user_id: (-counts[user_id], user_id))
