"""The words of alarms agree with their direction, for every signal and both directions."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import pytest

from core.clock import HOUR_MS
from core.drift.causes import Recent
from core.drift.changes import SignalChange
from core.drift.effects import SmallestEffects
from core.drift.expectations import SignalDifference
from core.drift.words import SUBJECTS, headline
from core.records.drift import ANSWER_SIGNALS, BUCKET_MS, Alarm, Bucket, BucketCounts, ScoreTally

ROOT = Path(__file__).parents[4]
ALARM = Alarm("id", "hit_rate", "", 9 * HOUR_MS, 0, 0.2, 0.1, 0.08, 0.12, "why")
CONTRADICTIONS = {
    True: ("fewer", "fell", "less often", "less popular items", "better-known", "same category", "same items"),
    False: ("more popular", "more first events", "more events", "rose", "rarer", "different categories", "differ more"),
}
ONE_FIGURE = (
    "new_users",
    "new_items",
    *ANSWER_SIGNALS,
)  # their causes name no other figure, which may have moved otherwise


def recent() -> Recent:
    """Two days of the same counts, whichever direction an alarm has."""
    known = Recent(str)
    for number in range(2 * 24 * 12):
        counts = BucketCounts(20, 1, 1, Counter({1: 12, 2: 8}), Counter({3: 19}))
        tally = ScoreTally(10, 4.0, 30.0, 95.0)
        known.add(Bucket(number * BUCKET_MS, counts, "v1", tally, {1: tally}))
    return known


@pytest.mark.parametrize("rises", [True, False])
@pytest.mark.parametrize("signal", SUBJECTS)
def test_neither_headline_nor_cause_contradicts_the_direction(signal: str, rises: bool) -> None:
    before, after = (0.0399, 0.0401) if rises else (0.0401, 0.0399)
    change = SignalChange(24 * HOUR_MS, 48 * HOUR_MS, SignalDifference(before, after, 0.00001), 9)
    cause = recent().cause(signal, change)
    text = headline(replace(ALARM, signal=signal, before=before, after=after, low=after, high=after))
    assert ("rose" in text) == rises
    assert not [word for word in CONTRADICTIONS[rises] if word in f"{text} {cause}" and signal in ONE_FIGURE]
    assert cause


def test_every_signal_has_a_name_a_setting_and_its_documentation() -> None:
    settings = {each.name for each in fields(SmallestEffects)}
    assert set(SUBJECTS) == settings - {"silence"}
    for page, pattern in {
        "docs/drift.md": r"^\| `(\w+)` \| .*\| .*`drift\.effect_\w+`\) \|$",
        "docs/settings.md": r"^\| `drift\.effect_(\w+)`",
    }.items():
        assert set(re.findall(pattern, (ROOT / page).read_text("utf-8"), re.M)) == settings
    script = (ROOT / "serving/pages/scripts/pages/drift_state.js").read_text("utf-8")
    assert re.findall(r"^  (\w+): \{$", script, re.M) == list(SUBJECTS)


def test_a_headline_names_segment_values_and_interval() -> None:
    text = headline(replace(ALARM, segment="category=Tea"))
    assert text == "Hit rate in category Tea fell from 20.0% to 10.0% (95%: 8.0% to 12.0%)"
    assert headline(replace(ALARM, signal="loss", before=2, after=3, low=2.5, high=3.5)).startswith(
        "Loss rose from 2.00"
    )


@pytest.mark.parametrize(("hours", "length"), [(48, "2 days"), (9, "9 hours"), (1.5, "90 minutes")])
def test_a_silence_is_told_by_its_length_and_the_events_missing(hours: float, length: str) -> None:
    alarm = replace(ALARM, signal="silence", onset_ms=0, detected_ms=int(hours * HOUR_MS), before=9_800.2, after=0.0)
    assert headline(alarm) == f"No events for {length}, about 9,800 expected"


def test_cause_of_an_old_onset_has_no_comparison() -> None:
    change = SignalChange(0, 48 * HOUR_MS, SignalDifference(0.1, 0.2, 0.01), 9)
    assert recent().cause("categories", change).startswith("a slow change")
