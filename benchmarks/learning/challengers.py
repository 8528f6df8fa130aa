"""Deliberately degraded challengers, strongly or slightly, for tests of the gate. Independent of verdicts."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from core.arrays import BoolArray, FloatArray, IntArray
from core.catalogue.items import Catalogue
from core.clock import DAY_MS
from core.events.history import History, WindowShape
from core.ports.encoder import EncodedItems, ModelBundle
from core.records.stored import EventColumns
from model.bundle import HM4SRBundle
from model.training.fine_tuning import FineTuningPlan, fine_tune

BLURS = (0.05, 0.1, 0.2)
HARD = FineTuningPlan(epochs=3, learning_rate=3e-3, replay=0.0)
ONE_DAY = replace(HARD, epochs=25, learning_rate=5e-3)
FAST = replace(FineTuningPlan(), learning_rate=30 * FineTuningPlan().learning_rate)


class CollapsedModel:
    """A model that recommends the most popular items to every user."""

    version, width, blend = "collapsed", 2, None

    def __init__(self, counts: IntArray, window: WindowShape) -> None:
        self._counts, self.window = counts.astype(np.float32), window

    def bind(self, catalogue: Catalogue, *, encoded: EncodedItems | None = None) -> CollapsedModel:
        """The same for any catalogue."""
        return self

    def items(self, rows: IntArray) -> FloatArray:
        """Counts, and nothing."""
        found: FloatArray = np.stack([self._counts[rows], np.zeros(len(rows), np.float32)], axis=1)
        return found

    def trained(self, rows: IntArray) -> BoolArray:
        """All are."""
        return np.ones(len(rows), np.bool_)

    def unseen_items(self, rows: IntArray) -> FloatArray:
        """Without counts."""
        return np.zeros((len(rows), self.width), np.float32)

    def encode(self, histories: Sequence[History]) -> FloatArray:
        """The same for any history."""
        return np.repeat(np.array([[1.0, 0.0]], np.float32), len(histories), axis=0)

    def query(self, vectors: FloatArray, gaps_ms: IntArray) -> FloatArray:
        """At any time."""
        return vectors

    def gap_step(self, gap_ms: int) -> int:
        """All gaps alike."""
        return 0

    def rebind(self, catalogue: Catalogue, rows: IntArray) -> CollapsedModel:
        """The same for any catalogue."""
        return self

    def repeats(self, history: History) -> None:
        """Nothing is added."""
        return


@dataclass(frozen=True)
class ChallengeMoment:
    """What a challenger is made of: the champion, the events up to now, and since when they are new to it."""

    champion: HM4SRBundle
    columns: EventColumns
    catalogue: Catalogue
    since_ms: int
    seed: int

    def tuned(self, columns: EventColumns, plan: FineTuningPlan | None = None, *, since_ms: int = 0) -> HM4SRBundle:
        """The champion after learning these events."""
        since_ms = since_ms or self.since_ms
        return fine_tune(self.champion, columns, self.catalogue, since_ms=since_ms, plan=plan, seed=self.seed)


def plainly_spoilt(moment: ChallengeMoment) -> Iterator[tuple[str, ModelBundle]]:
    """One challenger of each kind that any gate must refuse."""
    columns, champion, rng = moment.columns, moment.champion, np.random.default_rng(moment.seed)
    yield "shuffled labels", moment.tuned(_shuffled(columns, np.ones(len(columns), np.bool_), rng), HARD)
    last_day_ms = int(columns.times_ms.max()) - DAY_MS
    yield "over-trained on one day", moment.tuned(columns, ONE_DAY, since_ms=last_day_ms)
    broken = copy.deepcopy(champion.model)
    with torch.no_grad():
        broken.position_embedding[0, 0] = float("nan")
    yield "not a number", replace(champion, model=broken)
    ids = tuple(champion.item_ids[row] for row in rng.permutation(len(champion.item_ids)))
    yield "of another shop", replace(champion, item_ids=ids)
    counts = np.bincount(columns.items, minlength=len(moment.catalogue))
    yield "popularity collapse", CollapsedModel(counts, champion.window)


def subtly_spoilt(moment: ChallengeMoment) -> Iterator[tuple[str, ModelBundle]]:
    """What a wrong setting or a broken feed makes, and the champion's weights blurred more and more."""
    columns, rng = moment.columns, np.random.default_rng(moment.seed)
    new = columns.times_ms >= moment.since_ms
    yield "half the new labels shuffled", moment.tuned(_shuffled(columns, new & (rng.random(len(new)) < 0.5), rng))
    yield "30 times the learning rate", moment.tuned(columns, FAST)
    if (inside := _of_largest_category(columns, moment.catalogue)) is not None:
        yield "new events of one category alone", moment.tuned(columns.where(inside | ~new))
    for share in BLURS:
        yield f"weights blurred by {share:.0%}", _blurred(moment.champion, share, moment.seed)


def _shuffled(columns: EventColumns, which: BoolArray, rng: np.random.Generator) -> EventColumns:
    """Some events with the items of each other."""
    items = columns.items.copy()
    items[which] = rng.permutation(items[which])
    return EventColumns(columns.users, items, columns.times_ms)


def _of_largest_category(columns: EventColumns, catalogue: Catalogue) -> BoolArray | None:
    """Which events are of items in the category with the most items; None where there are no categories."""
    counts = Counter(name for names in catalogue.categories for name in names)
    if not counts:
        return None
    largest = counts.most_common(1)[0][0]
    inside = np.array([largest in names for names in catalogue.categories])
    found: BoolArray = inside[catalogue.rows(columns.items)]
    return found


def _blurred(champion: HM4SRBundle, share: float, seed: int) -> HM4SRBundle:
    """Noise of a share of each tensor's own spread added to every weight."""
    model, generator = copy.deepcopy(champion.model), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.numel() > 1:
                weight.add_(share * weight.std() * torch.randn(weight.shape, generator=generator))
    return replace(champion, model=model)
