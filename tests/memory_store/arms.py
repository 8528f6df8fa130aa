"""Sums over the users of arms, of a store in memory: users' totals until each day, summed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from core.clock import DAY_MS
from core.records.arms import ArmDay, ArmSums, UserSums
from core.records.outcomes import Measure, OriginField, StoredAnswer
from memory_store.data import MemoryRepository


class MemoryArms(MemoryRepository):
    """`core.ports.arms.ArmReader`."""

    def days(
        self, labels: Sequence[str], *, since_ms: int, until_ms: int, proven_impressions: bool = False
    ) -> list[ArmDay]:
        arms = {key: origin.arm for origin, key in self.data.origins.items() if origin.arm in labels}
        by_arm: dict[str, list[StoredAnswer]] = {}
        for answer in self.data.answers.values():
            if answer.origin_key in arms and answer.user_id is not None and since_ms <= answer.time_ms < until_ms:
                by_arm.setdefault(arms[answer.origin_key], []).append(answer)
        added = []
        for arm, answers in by_arm.items():
            before = ArmSums()
            for day in sorted({answer.time_ms // DAY_MS for answer in answers}):
                so_far = [answer for answer in answers if answer.time_ms // DAY_MS <= day]
                after = self._sums(so_far, proven_impressions)
                added.append(ArmDay(arm, day, _difference(after, before)))
                before = after
        return sorted(added, key=lambda each: (each.day, each.arm))

    def revenue_by_user(self, by: OriginField | None, *, since_ms: int, until_ms: int) -> dict[str, UserSums]:
        origins = {key: origin for origin, key in self.data.origins.items()}
        groups: dict[str, dict[str, float]] = {}
        for answer in self.data.answers.values():
            if answer.user_id is None or not since_ms <= answer.time_ms < until_ms:
                continue
            group = groups.setdefault("" if by is None else getattr(origins[answer.origin_key], by), {})
            bought = (each.value or 0.0 for each in self.data.outcomes if each.answer_key == answer.key)
            group[answer.user_id] = group.get(answer.user_id, 0.0) + sum(bought)
        return {name: UserSums.of(np.array([*revenues.values()])) for name, revenues in groups.items()}

    def _sums(self, answers: Sequence[StoredAnswer], proven_impressions: bool) -> ArmSums:
        users = sorted({answer.user_id or "" for answer in answers})
        totals = np.zeros((4, len(users)))
        for answer in answers:
            mine = [outcome for outcome in self.data.outcomes if outcome.answer_key == answer.key]
            of = {measure: {each.position for each in mine if each.measure == measure} for measure in Measure}
            impressions = len({each.position for each in mine}) if proven_impressions else len(answer.item_keys)
            revenue = sum(each.value or 0.0 for each in mine if each.measure == Measure.CONVERSION)
            place = users.index(answer.user_id or "")
            totals[:, place] += impressions, len(of[Measure.CLICK]), len(of[Measure.CONVERSION]), revenue
        impressions, clicks, conversions, revenues = totals
        return ArmSums(len(answers), UserSums.of(clicks, impressions), UserSums.of(conversions), UserSums.of(revenues))


def _difference(after: ArmSums, before: ArmSums) -> ArmSums:
    def of_users(name: str) -> UserSums:
        new, old = getattr(after, name), getattr(before, name)
        return UserSums(*(getattr(new, each.name) - getattr(old, each.name) for each in fields(UserSums)))

    return ArmSums(after.answers - before.answers, of_users("clicks"), of_users("conversions"), of_users("revenue"))
