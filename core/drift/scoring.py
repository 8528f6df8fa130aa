"""Scoring: ranks the sampled events as they are served, blended where the model is, each with the state before it.

The user's state strictly before an event follows from the (time, sequence) order, so that it does not depend on when
an event is scored, or by which process. Live counts are those of the scoring, some seconds later, without what the
event itself added to them. Independent of HTTP, detectors and alarms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.blending.features import LastNeighbours
from core.events.hidden_items import HiddenItems
from core.events.history import History, WindowShape, windows_of
from core.events.interactions import EventTypes
from core.ports.store import ReadTransaction, Store
from core.recommendation.ranking.added_scores import add_repeats
from core.recommendation.ranking.neighbour_scores import NeighbourScores
from core.recommendation.snapshots.bound_model import BoundModel
from core.recommendation.snapshots.snapshot import ServingSnapshot
from core.records.drift import ItemFacts, SampledEvent, Score
from core.records.stored import EventRow, StoredItem

BATCH = 64
MAX_PAST = 2_000  # of a user's newest events
BLOCK = 65_536  # items whose vectors are copied at once: those of a million would take 512 MB
CONFIDENT_ITEMS = 10  # that the model ranks first


@dataclass(frozen=True, slots=True)
class _Case:
    """An event to score: the history before it, its item, and what could have been recommended.

    `excluded`: keys of items that the answer leaves out; `allowed`: (N,) all other listed rows.
    """

    sample: SampledEvent
    history: History
    item_key: int
    row: int
    excluded: IntArray
    allowed: BoolArray
    gap_ms: int


class _CaseScore(NamedTuple):
    """The rank of a case's item, from 1, its cross-entropy, and the probability of the items that are ranked first."""

    rank: int
    loss: float
    confidence: float


@dataclass(frozen=True, slots=True)
class _Known:
    """Stored data of the sampled events. `topics`: topic names by code."""

    events: Mapping[bytes, EventRow]
    items: Mapping[int, StoredItem]
    facts: Mapping[int, ItemFacts]
    topics: Mapping[int, str]


class Scoring:
    """Scores the samples of a store with the current snapshot."""

    def __init__(
        self,
        store: Store,
        *,
        snapshots: Callable[[], ServingSnapshot],
        types: EventTypes,
        shape: WindowShape,
        exclude_seen: bool = True,
        segments: Sequence[str] = (),
    ) -> None:
        """`snapshots`: called after the samples were read, so that its counts hold their events.

        `segments`: to monitor separately: `category` (or the topic of a text), `item.NAME`, `event.NAME`.
        """
        self._store = store
        self._snapshots = snapshots
        self._shape = shape
        self._segments = segments
        self._codes = tuple(types.kinds)
        self._windowed = frozenset(types.flagged("window"))
        self._hidden_items = HiddenItems(types, exclude_seen=exclude_seen)

    def next_scores(self) -> list[Score]:
        """The scores of the oldest unscored events, to be stored by the caller; empty if there are none."""
        with self._store.read() as read:
            samples = read.drift.unscored(limit=BATCH)
        if not samples:
            return []
        snapshot = self._snapshots()
        with self._store.read() as read:
            events = read.events.by_key([sample.event_key for sample in samples])
            items = read.items.by_key([event.item_key for event in events.values()])
            topics = read.drift.topics() if "category" in self._segments else {}
            known = _Known(events, items, read.drift.item_facts(sorted(items)), topics)
            cases = [case for sample in samples if (case := self._case(read, snapshot, sample, events)) is not None]
        scored = _score_cases(snapshot, snapshot.model, cases) if snapshot.model and cases else {}
        version = snapshot.model.version if snapshot.model else None
        return [self._score(sample, known, version, scored) for sample in samples]

    def _case(
        self, read: ReadTransaction, snapshot: ServingSnapshot, sample: SampledEvent, events: Mapping[bytes, EventRow]
    ) -> _Case | None:
        """None if the event cannot be scored: no history, or an item that could not have been recommended."""
        event = events.get(sample.event_key)
        if event is None or snapshot.model is None:
            return None
        item_row = int(snapshot.catalogue.rows(np.array([event.item_key]))[0])
        if item_row < 0 or not snapshot.catalogue.listed[item_row]:
            return None
        before = (event.time_ms, event.user_seq)
        past = read.events.recent(event.user_key, type_codes=self._codes, limit=MAX_PAST, before=before)
        windowed = [row for row in past if row.type_code in self._windowed]
        past_types = np.array([(row.item_key, row.type_code) for row in past], np.int64).reshape(-1, 2)
        excluded = self._hidden_items.of(past_types)
        if not windowed or event.item_key in excluded:
            return None
        allowed = snapshot.catalogue.listed.copy()
        excluded_rows = snapshot.catalogue.rows(excluded)
        allowed[excluded_rows[excluded_rows >= 0]] = False
        times_ms = np.array([row.time_ms for row in windowed], np.int64)
        history = windows_of(_keys(windowed), times_ms, self._shape).history
        gap_ms = event.time_ms - int(times_ms[-1])
        return _Case(sample, history, event.item_key, item_row, excluded, allowed, gap_ms)

    def _score(
        self, sample: SampledEvent, known: _Known, version: str | None, scored: Mapping[bytes, _CaseScore]
    ) -> Score:
        if sample.event_key not in scored:
            return Score(*sample)
        rank, loss, certainty = scored[sample.event_key]
        event = known.events[sample.event_key]
        topic = known.facts[event.item_key].topic
        segments = _segments(self._segments, event, known.items[event.item_key], known.topics.get(topic))
        return Score(*sample, version, rank, loss, topic, tuple(segments), certainty)


def _keys(events: Iterable[EventRow]) -> IntArray:
    return np.array([event.item_key for event in events], np.int64)


def _score_cases(snapshot: ServingSnapshot, model: BoundModel, cases: Sequence[_Case]) -> dict[bytes, _CaseScore]:
    """The score of each case's item among its allowed rows."""
    histories = [case.history for case in cases]
    encoded = model.encoder.encode(histories)
    queries = model.encoder.query(encoded, np.array([case.gap_ms for case in cases], np.int64))
    rows = np.flatnonzero(np.logical_or.reduce([case.allowed for case in cases]))
    scores = np.empty((len(cases), len(rows)), np.float32)
    for begin in range(0, len(rows), BLOCK):
        scores[:, begin : begin + BLOCK] = queries @ model.encoder.items(rows[begin : begin + BLOCK]).T
    add_repeats(scores, rows, model.encoder, snapshot.catalogue, histories)
    if model.blend is not None and snapshot.counts is not None and snapshot.values is not None:
        gains = snapshot.values.gains
        scores = np.float32(model.blend.encoder) * scores + snapshot.values.values[rows]
        for case, own in zip(cases, scores, strict=True):
            near = LastNeighbours.of(snapshot.counts, case.history.items)
            near = near.before(case.item_key, snapshot.counts.weights_at(case.sample.time_ms))
            neighbours = NeighbourScores.of_near(model.blend, near, snapshot.catalogue, case.excluded, gains)
            neighbours.added.add_to(own, rows)
    return {case.sample.event_key: _score_case(scores[n], rows, case) for n, case in enumerate(cases)}


def _score_case(scores: FloatArray, rows: IntArray, case: _Case) -> _CaseScore:
    kept = scores[case.allowed[rows]].astype(np.float64)
    own = float(scores[np.searchsorted(rows, case.row)])
    higher, equal = np.count_nonzero(kept > own), np.count_nonzero(kept == own) - 1
    highest = kept.max()
    weights = np.exp(kept - highest)
    loss = float(highest + np.log(weights.sum()) - own)
    return _CaseScore(1 + int(higher + equal // 2), loss, confidence(weights))


def confidence(weights: FloatArray) -> float:
    """The share of the highest ten of all weights, (N,): exponentials of a model's scores."""
    first = np.partition(weights, -CONFIDENT_ITEMS)[-CONFIDENT_ITEMS:] if len(weights) > CONFIDENT_ITEMS else weights
    return float(first.sum() / weights.sum())


def _segments(names: Sequence[str], event: EventRow, stored: StoredItem, topic: str | None) -> list[str]:
    """The segments of an event, as `category=Tea`."""
    segments = []
    for name in names:
        kind, _, key = name.partition(".")
        if kind == "category":
            segments += [f"category={category}" for category in stored.item.categories or ([topic] if topic else [])]
            continue
        values = stored.item.attributes if kind == "item" else event.context or {}
        if values.get(key) is not None:
            segments.append(f"{name}={values[key]}")
    return segments
