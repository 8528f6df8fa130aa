"""Evaluation on files: reads events and items into a dataset, runs the named models, makes the report.

Called by `tidewise evaluate`; needs no database. The only module that combines `model` with the river baseline.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.catalogue.items import Item
from core.clock import WallClock
from core.errors import InvalidInput
from core.events.interactions import EventTypes
from core.imports.event_import import read_history
from core.imports.event_rows import HistoryColumns, RowRules
from core.imports.item_import import ItemColumns, read_items
from core.imports.rows import BadLine, FileFormat
from tidewise.evaluation.product import product_specs
from tidewise.files import guess_time_unit, opened
from tidewise.training.features import sources_of

if TYPE_CHECKING:
    from core.evaluation.scorers import Scorer
    from model.evaluation.dataset import Dataset, Row, Ties
    from model.evaluation.harness import Progress
    from model.evaluation.models import Budget, Config, FitContext, ModelSpec
    from model.evaluation.protocols import Fold

FALLBACK = "popularity"
PEER_LIBRARIES = ("rectools:", "implicit:")
TEXT_FEATURES = 128
CONTENT_FEATURES = 128


@dataclass
class EvaluationFiles:
    """The files of an evaluation and how to read them. `bad_lines`: lines that could not be read, filled by reading."""

    events: Sequence[Path]
    columns: HistoryColumns
    time_unit: str | None = None  # None: by the size of the first times of each file
    items: Path | None = None
    item_columns: ItemColumns = field(default_factory=ItemColumns)
    format: FileFormat = field(default_factory=FileFormat)
    zone: tzinfo = UTC
    type_names: Mapping[str, str] = field(default_factory=dict)
    bad_lines: list[BadLine] = field(default_factory=list)

    def dataset(self, *, ties: Ties) -> Dataset:
        """The dataset of the files; raises `InvalidInput` where a file cannot be used."""
        from model.evaluation.dataset import Dataset

        return Dataset.of(self._rows(), list(self._items()), ties=ties)

    def _rows(self) -> Iterator[Row]:
        types = EventTypes()
        window_types = {kind.name for kind in types.table if kind.window}
        for path in self.events:
            unit = self.time_unit or guess_time_unit(path, self.format, self.columns.time)
            rules = RowRules(
                self.columns, unit, types, "click", WallClock().now_ms(), zone=self.zone, type_names=self.type_names
            )
            with opened(path, self.format) as reader:
                events = read_history(reader, rules=rules, on_bad=self.bad_lines.extend)
                yield from (
                    (event.user_id, event.item_id, event.time_ms) for event in events if event.type in window_types
                )

    def _items(self) -> Iterator[Item]:
        if self.items is None:
            return
        with opened(self.items, self.format) as reader:
            yield from read_items(reader, columns=self.item_columns, on_bad=self.bad_lines.extend)


def cut_of(text: str, dataset: Dataset) -> int:
    """The cut in ms of `--cut`: a share of the events in time order, or a date (UTC)."""
    from model.evaluation.protocols import cut_at_share

    share: float | None = None
    with suppress(ValueError):
        share = float(text)
    if share is not None:
        return cut_at_share(dataset, share)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        msg = f"--cut: wanted a share as 0.8 or a date as 2014-03-01, got {text!r}"
        raise InvalidInput(msg) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def online_baselines() -> dict[str, ModelSpec]:
    """The baselines that need the extra `drift`; empty without it."""
    from model.baselines.factorisation import OnlineFactorisation
    from model.evaluation.models import ModelSpec

    if find_spec("river") is None:
        return {}

    def make(config: Config, seed: int, setting: FitContext) -> Scorer:
        return OnlineFactorisation(seed=seed, **config)

    grid = [
        {"num_factors": num_factors, "learning_rate": learning_rate, "num_negatives": 3}
        for num_factors in (16, 64)
        for learning_rate in (0.02, 0.1)
    ]
    return {"river-mf": ModelSpec("river-mf", make, grid, "model.baselines.factorisation", seeded=True)}


def specs_of(names: Sequence[str]) -> list[ModelSpec]:
    """The named models without duplicates; raises `InvalidInput` for an unknown name, or one that is not installed."""
    from model.evaluation.models import spec_of

    online, peers = online_baselines(), peers_of(names)
    if "river-mf" in names and not online:
        raise InvalidInput("--model river-mf: river is not installed; install tidewise with the extra `drift`")
    return [spec_of(name, {**online, **peers, **product_specs()}) for name in dict.fromkeys(names)]


def peers_of(names: Sequence[str]) -> dict[str, ModelSpec]:
    """The models of other libraries, where one is named; raises `InvalidInput` without their environment."""
    named = [name for name in names if name.startswith(PEER_LIBRARIES)]
    if not named:
        return {}
    if find_spec("pyarrow") is None:
        msg = f"--model {named[0]}: pyarrow is not installed; install tidewise with the extra `peers`"
        raise InvalidInput(msg)
    from model.evaluation.peers.process import PeerEnvironment
    from model.evaluation.peers.specs import peer_specs

    PeerEnvironment().require(named[0])
    return peer_specs()


@dataclass(frozen=True)
class ComparisonPlan:
    """What to compare: model names, the baseline of the differences, seeds, and the cache of finished results.

    `features`: item vectors besides the texts, as PATH[:NAME].
    """

    names: Sequence[str]
    against: str
    budget: Budget
    seeds: Sequence[int] = (0,)
    cache: Path | None = None
    features: Sequence[str] = ()


def compare(dataset: Dataset, fold: Fold, plan: ComparisonPlan, *, progress: Progress) -> dict[str, Any]:
    """Run all models and report; popularity always runs, as the fallback for users without a history."""
    from model.evaluation.harness import Harness
    from model.evaluation.networks import Contents
    from model.evaluation.report import Comparison, report
    from model.evaluation.results import ResultCache

    specs = specs_of([*plan.names, plan.against, FALLBACK])
    progress("reading the contents of items", 0.0)
    sources = sources_of(plan.features, dataset.catalogue, size=CONTENT_FEATURES)
    contents = Contents.of(dataset.catalogue, text_size=TEXT_FEATURES, sources=sources)
    harness = Harness(dataset, fold, plan.budget, contents, ResultCache(plan.cache), plan.seeds, progress)
    outcomes = {spec.name: harness.run(spec) for spec in specs}
    progress("resampling users", 0.0)
    figures = report(Comparison(dataset, fold, plan.budget, outcomes, outcomes[FALLBACK], plan.against))
    return {**figures, "contents": [{"name": source.name, "size": source.size} for source in contents.sources]}
