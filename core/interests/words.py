"""What changed between two periods, as at most three sentences with figures. Independent of how it was found."""

from __future__ import annotations

from collections.abc import Sequence

from core.drift.segments import NEW, NEW_USER_EVENTS, RETURNING
from core.interests.comparison import MIN_BLOCKS, PeriodChange

MAX_SENTENCES = 3
NAMES = {NEW: f"new users (their first {NEW_USER_EVENTS} events)", RETURNING: "returning users"}


def segment_name(segment: str) -> str:
    """A segment for people: "event.country=DE" is "country DE"."""
    field, _, value = segment.partition("=")
    return NAMES.get(segment, f"{field.partition('.')[2] or field} {value}")


def sentences(
    categories: Sequence[PeriodChange],
    growth: PeriodChange | None,
    segments: Sequence[PeriodChange],
    *,
    user_id: str | None,
) -> list[str]:
    """What rose most, what fell most, and then the number of events or the segments; only what is beyond chance."""
    of_whom = "all events" if user_id is None else f"the events of {user_id}"
    moved = [change for change in categories if change.is_significant]
    risen = sorted((change for change in moved if change.difference > 0), key=_size)
    fallen = sorted((change for change in moved if change.difference < 0), key=_size)
    told = [_share_sentence(change, change.name, of_whom) for change in (*risen[-1:], *fallen[-1:])]
    if growth is not None and growth.is_significant:
        told.append(_growth_sentence(growth))
    parts = sorted((part for part in segments if part.is_significant and part.name != RETURNING), key=_size)
    told += [_share_sentence(part, segment_name(part.name), of_whom) for part in reversed(parts)]
    return [sentence[0].upper() + sentence[1:] for sentence in told[:MAX_SENTENCES]]


def unchanged(categories: Sequence[PeriodChange]) -> str:
    """What there is to say without a sentence."""
    if any(change.interval for change in categories):
        return "Nothing has changed beyond chance."
    return (
        f"Too little to compare: with events in fewer than {MIN_BLOCKS} parts of a period, chance cannot be told apart."
    )


def _size(change: PeriodChange) -> float:
    return abs(change.difference)


def _share_sentence(change: PeriodChange, name: str, of_whom: str) -> str:
    low, high = change.interval or (change.difference, change.difference)
    verb = "rose" if change.difference > 0 else "fell"
    figures = f"{100 * change.difference:+.1f} points, 95%: {100 * low:+.1f} to {100 * high:+.1f}"
    return f"{name} {verb} from {change.reference:.1%} to {change.value:.1%} of {of_whom} ({figures})."


def _growth_sentence(growth: PeriodChange) -> str:
    low, high = growth.interval or (growth.difference, growth.difference)
    verb = "rose" if growth.difference > 0 else "fell"
    return f"events per day {verb} by {abs(growth.difference):.0%} (95%: {low:+.0%} to {high:+.0%})."
