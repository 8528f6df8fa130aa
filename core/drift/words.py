"""Alarms as sentences, for logs, the command line, the API and the dashboard. Independent of how they are detected."""

from __future__ import annotations

from core.clock import HOUR_MS
from core.records.drift import Alarm

SUBJECTS = {
    "hit_rate": "Hit rate",
    "loss": "Loss",
    "confidence": "Confidence of the model",
    "categories": "Events in unexpected categories",
    "gaps": "Gaps of unexpected length",
    "new_users": "First events of users",
    "new_items": "Events of new items",
    "fallback": "Answers by popularity",
    "popularity_bias": "Popularity percentile of shown items",
    "novelty": "Novelty of shown items",
    "diversity": "Diversity of lists",
    "coverage": "Different items in 20 lists",
}


def headline(alarm: Alarm) -> str:
    """What changed, from what was expected to what was seen, with the 95% interval."""
    if alarm.signal == "silence":
        hours = (alarm.detected_ms - alarm.onset_ms) / HOUR_MS
        return f"No events for {duration(hours)}, about {alarm.before:,.0f} expected"
    subject = SUBJECTS.get(alarm.signal, alarm.signal)
    where = f" in {alarm.segment.replace('=', ' ')}" if alarm.segment else ""
    moved = "rose" if alarm.after > alarm.before else "fell"
    before, after, low, high = (
        number(alarm.signal, value) for value in (alarm.before, alarm.after, alarm.low, alarm.high)
    )
    return f"{subject}{where} {moved} from {before} to {after} (95%: {low} to {high})"


def number(signal: str, value: float) -> str:
    """A value in its signal's unit."""
    if signal == "novelty":
        return f"{value:.1f} bits"
    return f"{value:.2f}" if signal == "loss" else f"{value:.1%}"


def duration(hours: float) -> str:
    """A length of time, in the largest unit of which there are two."""
    for size, unit in ((48, "days"), (2, "hours")):
        if hours >= size:
            return f"{hours / (24 if unit == 'days' else 1):.0f} {unit}"
    return f"{hours * 60:.0f} minutes"
