"""Prequential evaluation: a log replayed in time order, each test event ranked before it is trained on.

The input of a scorer is the user's events strictly before the test event (or, with a frozen state, those before the
cut). The event's item is ranked among all items born so far, an item being born with its first event. A model's
training events end strictly before it serves, and a new one serves only after the time that its training took.
Independent of files. Shapes: q test events, N items.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from core.arrays import FloatArray, IntArray
from core.blending.features import BlendFeatures
from core.catalogue.items import Catalogue
from core.errors import InvalidInput
from core.evaluation.metrics import Array, ranks_of
from core.evaluation.scorers import LiveScorer, Past, Scorer, TrainingPart
from core.events.history import History, WindowShape
from core.ports.encoder import ModelBundle
from core.recommendation.ranking.added_scores import add_repeats
from core.records.stored import EventColumns
from model.evaluation.blended import LiveCounts
from model.evaluation.dataset import Dataset
from model.evaluation.protocols import VALIDATION_SHARE
from model.training.sequences import UserRanges, held_out

BATCH = 128
Ticker = Callable[[float], None]  # the share that is over


@dataclass(frozen=True)
class PrequentialStream:
    """A dataset divided in time: training events before `starts_ms[0]`, then periods with equal numbers of events.

    `test_rows`: (q,) rows of the test events, in the order in which they happened.
    """

    dataset: Dataset
    starts_ms: IntArray
    test_rows: IntArray
    hide_seen: bool

    @classmethod
    def of(
        cls, dataset: Dataset, *, cut_ms: int, num_periods: int, max_test_events: int | None, hide_seen: bool
    ) -> PrequentialStream:
        """Divided at a time; raises `InvalidInput` where nothing is before or after it."""
        columns, arrival = dataset.columns, dataset.arrival
        after = arrival[columns.times_ms[arrival] >= cut_ms]
        if not 0 < len(after) < len(columns):
            msg = (
                f"prequential: wanted events before and after the cut, got {len(after)} after it; choose another --cut"
            )
            raise InvalidInput(msg)
        marks = np.arange(1, num_periods) * len(after) // num_periods
        starts_ms = np.unique(np.concatenate([[cut_ms], columns.times_ms[after[marks]]]))
        test_rows = after[~columns.repeats()[after]] if hide_seen else after
        if max_test_events is not None and len(test_rows) > max_test_events:
            positions = np.random.default_rng(0).choice(len(test_rows), max_test_events, replace=False)
            test_rows = test_rows[np.sort(positions)]
        return cls(dataset, starts_ms, test_rows, hide_seen)

    @property
    def columns(self) -> EventColumns:
        """All events."""
        return self.dataset.columns

    @property
    def times_ms(self) -> IntArray:
        """(q,) the time of each test event."""
        return self.columns.times_ms[self.test_rows]

    @property
    def target_items(self) -> IntArray:
        """(q,) the target items, as rows of the catalogue."""
        return self.columns.items[self.test_rows]

    @property
    def users(self) -> IntArray:
        """(q,) the user of each test event."""
        return self.columns.users[self.test_rows]

    @property
    def periods(self) -> IntArray:
        """(q,) the period of each test event."""
        return np.searchsorted(self.starts_ms, self.times_ms, side="right") - 1

    @cached_property
    def first(self) -> IntArray:
        """(n,) the number of the first event of each event's user."""
        ranges = UserRanges.of(self.columns.users)
        return np.repeat(ranges.first, ranges.count)

    @cached_property
    def born_ms(self) -> IntArray:
        """(N,) when each item had its first event; items without one are never born."""
        born = np.full(self.dataset.num_items, np.iinfo(np.int64).max)
        np.minimum.at(born, self.columns.items, self.columns.times_ms)
        return born

    def before(self, time_ms: int) -> EventColumns:
        """The events strictly before a time."""
        return self.columns.where(self.columns.times_ms < time_ms)

    def catalogue_at(self, time_ms: int) -> Catalogue:
        """The items born before a time: what a training then can know."""
        born = self.dataset.catalogue.take(np.flatnonzero(self.born_ms < time_ms))
        return replace(born, listed=np.ones(len(born), np.bool_))

    def past(self, event: int, *, frozen: bool = False) -> Past:
        """What is known of the user strictly before an event; frozen: before the cut."""
        begin, end = int(self.first[event]), event
        if frozen:
            end = begin + int(np.searchsorted(self.columns.times_ms[begin:event], self.starts_ms[0]))
        history = History(self.columns.items[begin:end], self.columns.times_ms[begin:end])
        return Past(int(self.columns.users[event]), history)

    @cached_property
    def num_before(self) -> IntArray:
        """(n,) how many events happened before each event."""
        num_before = np.empty(len(self.columns), np.int64)
        num_before[self.dataset.arrival] = np.arange(len(self.columns))
        return num_before

    def ranks(self, numbers: IntArray, scores_BN: FloatArray) -> Array:
        """(b,) ranks from 0 among the items born so far, ties sharing theirs."""
        scores_BN = np.where(self.born_ms <= self.times_ms[numbers][:, None], scores_BN, -np.inf)
        if self.hide_seen:
            for row, event in enumerate(self.test_rows[numbers].tolist()):
                scores_BN[row, self.columns.items[self.first[event] : event]] = -np.inf
        return ranks_of(scores_BN, self.target_items[numbers])


@dataclass
class ArmResult:
    """What one arm did. `ranks`: (q,) NaN for users without a known event, whom popularity answers.

    `train_s`, `rank_s`: CPU seconds; `fresh`: (q,) whether the item was born after all that the acting model knows.
    """

    ranks: Array
    fresh: np.ndarray
    train_s: list[float] = field(default_factory=list)
    rank_s: float = 0.0


@dataclass(frozen=True)
class DeployedModel:
    """A model version in time: trained on the events strictly before `until_ms`, serving from `from_ms` on."""

    bundle: ModelBundle
    until_ms: int
    from_ms: int
    train_s: float


def run_models(
    stream: PrequentialStream, models: Sequence[DeployedModel], *, frozen: bool, shape: WindowShape, tick: Ticker
) -> ArmResult:
    """Each test event ranked by the newest model that acts by then, blended with live counts where it has a blend."""
    begun_s = time.process_time()
    live = _CountsAtEvents(stream) if any(model.bundle.blend is not None for model in models) else None
    acts_from = np.array([model.from_ms for model in models])
    acting = np.maximum(np.searchsorted(acts_from, stream.times_ms, side="right") - 1, 0)
    until_ms = np.array([model.until_ms for model in models])[acting]
    run = ArmResult(np.full(len(stream.test_rows), np.nan), stream.born_ms[stream.target_items] >= until_ms)
    run.train_s = [model.train_s for model in models]
    for number, model in enumerate(models):
        encoder = model.bundle.bind(stream.dataset.catalogue)
        everything = np.arange(stream.dataset.num_items)
        table_NC, trained_N = encoder.items(everything), encoder.trained(everything)
        todo = np.flatnonzero(acting == number)
        pasts = {int(row): stream.past(int(stream.test_rows[row]), frozen=frozen) for row in todo}
        todo = todo[[len(pasts[int(row)].history) > 0 for row in todo]] if len(todo) else todo
        for part in np.array_split(todo, max(1, len(todo) // BATCH)) if len(todo) else ():
            windows = [_window(pasts[int(row)].history, shape) for row in part]
            queries_BC = encoder.query(encoder.encode(windows), np.zeros(len(part), np.int64))
            scores_BN = queries_BC @ table_NC.T
            add_repeats(scores_BN, everything, encoder, stream.dataset.catalogue, windows)
            if live is not None and model.bundle.blend is not None:
                for row, number_of_query in enumerate(part.tolist()):
                    features = live.features(number_of_query, pasts[number_of_query].history)
                    scores_BN[row] = features.scores(model.bundle.blend, scores_BN[row], trained_N)
            run.ranks[part] = stream.ranks(part, scores_BN)
            tick(float(part[-1]) / len(stream.test_rows))
    run.rank_s = time.process_time() - begun_s
    return run


class _EventsBefore:
    """Applies events once each, in the order in which they happened. `since`: how many have been applied already."""

    def __init__(self, stream: PrequentialStream, apply: Callable[[int, int, int], None], *, since: int = 0) -> None:
        self._stream, self._apply, self._num_applied = stream, apply, since

    def catch_up(self, event: int) -> None:
        """Apply all events before this one."""
        num_before = int(self._stream.num_before[event])
        columns = self._stream.columns.where(self._stream.dataset.arrival[self._num_applied : num_before])
        triples = (columns.users.tolist(), columns.items.tolist(), columns.times_ms.tolist())
        for user, item, time_ms in zip(*triples, strict=True):
            self._apply(user, item, time_ms)
        self._num_applied = num_before


class _CountsAtEvents:
    """The live counts at test events, which are asked for in the order in which they happened."""

    def __init__(self, stream: PrequentialStream) -> None:
        self._stream, self._counts = stream, LiveCounts(stream.dataset.num_items)
        self._before = _EventsBefore(stream, self._counts.apply)

    def features(self, number: int, history: History) -> BlendFeatures:
        """What the events before a test event say of all items."""
        self._before.catch_up(int(self._stream.test_rows[number]))
        hidden = np.unique(history.items) if self._stream.hide_seen else np.empty(0, np.int64)
        return self._counts.features(history, hidden)


def _window(history: History, shape: WindowShape) -> History:
    start = shape.start(len(history))
    return History(history.items[start:], history.times_ms[start:])


def run_scorer(stream: PrequentialStream, scorer: Scorer, *, tick: Ticker) -> ArmResult:
    """A counting model: a live one learns each event after ranking it, another is fitted anew each period."""
    run = ArmResult(np.full(len(stream.test_rows), np.nan), stream.born_ms[stream.target_items] >= stream.times_ms)
    begun_s = time.process_time()
    _fit(stream, scorer, int(stream.starts_ms[0]))
    run.train_s = [time.process_time() - begun_s]
    period, num_fitted = 0, int((stream.columns.times_ms < stream.starts_ms[0]).sum())
    before = _EventsBefore(stream, scorer.apply, since=num_fitted) if isinstance(scorer, LiveScorer) else None
    for number, event in enumerate(stream.test_rows.tolist()):
        if before is not None:
            before.catch_up(event)
        elif stream.periods[number] > period:
            period, fit_s = int(stream.periods[number]), time.process_time()
            _fit(stream, scorer, int(stream.starts_ms[period]))
            run.train_s.append(time.process_time() - fit_s)
        past = stream.past(event)
        block = np.array([number])
        run.ranks[number] = stream.ranks(block, scorer.scores([past]))[0]
        if number % BATCH == 0:
            tick(number / len(stream.test_rows))
    run.rank_s = time.process_time() - begun_s - sum(run.train_s)
    return run


def _fit(stream: PrequentialStream, scorer: Scorer, time_ms: int) -> None:
    columns = stream.before(time_ms)
    everything = np.arange(len(columns), dtype=np.int64)
    newest = np.flatnonzero(held_out(columns, share=VALIDATION_SHARE))  # what live counts are weighted by, and count
    scorer.fit(TrainingPart(columns, everything, newest, stream.dataset.num_items))
