"""The harness: each model is tuned on the validation events, fitted under several seeds and ranked on the test events.

Independent of files, tables or particular models. Whatever is done is kept at once, so that a killed run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.evaluation.scorers import LiveScorer, Scorer
from model.evaluation.code import code_version
from model.evaluation.dataset import Dataset
from model.evaluation.figures import gains
from model.evaluation.models import Budget, Config, FitContext, ModelSpec
from model.evaluation.networks import Contents, NetworkScorer
from model.evaluation.protocols import Fold
from model.evaluation.ranking import CLICK, DRAWN, SEEN, TargetRanks, rank, rank_key
from model.evaluation.results import Key, ModelResult, ResultCache
from model.training.resume import ResumeFile
from model.training.train import TrainingProgress

MAX_VALIDATION = 2000  # events that tuning looks at
TUNED_ON = "NDCG@10"
HARNESS = "model.evaluation.ranking"  # its code decides every result

Progress = Callable[[str, float], None]  # what is being done, the share of it that is done


def _silent(description: str, share: float) -> None:
    """The null object of progress callbacks."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration tried in tuning."""

    config: Config
    validation: float


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A model after its training, and how long that took."""

    scorer: Scorer
    fit_s: float


@dataclass(frozen=True, slots=True)
class EvaluatedModel:
    """Everything about one model: what was tried, what was chosen, and the results by seed."""

    spec: ModelSpec
    trials: Sequence[Trial]
    config: Config
    results: Mapping[int, ModelResult]

    @property
    def ways(self) -> tuple[str, ...]:
        """The treatments of the gap to now, for a model that reads it; empty for others."""
        ranks = next(iter(self.results.values())).ranks
        return tuple(way for way in (DRAWN, CLICK) if rank_key(SEEN[0], way) in ranks)

    def ranks(self, seen: str) -> list[TargetRanks]:
        """The ranks under each seed; `seen`: a `rank_key`."""
        return [result.ranks[seen] for result in self.results.values()]


@dataclass
class Harness:
    """One dataset, divided in one way; models are run one after the other."""

    dataset: Dataset
    fold: Fold
    budget: Budget
    contents: Contents
    results: ResultCache
    seeds: Sequence[int] = (0,)
    progress: Progress = _silent
    _networks: dict[Hashable, NetworkScorer] = field(default_factory=dict, init=False)

    def run(self, spec: ModelSpec) -> EvaluatedModel:
        """Tune, then fit and rank under every seed."""
        trials, best, fitted = self._tune(spec, spec.trials(self.budget))
        seeds = self.seeds if spec.seeded else self.seeds[:1]
        results = {
            seed: self._test(spec, best.config, seed, fitted if seed == self.seeds[0] else None) for seed in seeds
        }
        return EvaluatedModel(spec, trials, best.config, results)

    def _tune(self, spec: ModelSpec, configs: Sequence[Config]) -> tuple[list[Trial], Trial, FittedModel | None]:
        """All trials, the best, and the model that it fitted, where this call did: the first seed needs no other."""
        if len(configs) == 1:  # nothing to choose from
            only = Trial(configs[0], float("nan"))
            return [only], only, None
        trials: list[Trial] = []
        best, best_fitted = None, None
        for number, config in enumerate(configs, 1):
            trial, fitted = self._try(spec, config, f"{number} of {len(configs)}")
            trials.append(trial)
            if best is None or trial.validation > best.validation:
                best, best_fitted = trial, fitted
        assert best is not None, "a model has a configuration"
        return trials, best, best_fitted

    def _try(self, spec: ModelSpec, config: Config, position: str) -> tuple[Trial, FittedModel | None]:
        """A configuration's metric on the validation events, under the first seed; test events are not used."""
        key = self._key(spec, config, self.seeds[0], "validation")
        result, fitted = self.results.load(key), None
        if result is None:
            doing = f"{spec.name}: trial {position}"
            fitted = self._fitted(spec, config, self.seeds[0], doing)
            targets = self.fold.validation.sample(MAX_VALIDATION)
            ranked = rank(fitted.scorer, self.fold, targets, progress=self._counter(doing))
            ranks = ranked[SEEN[self.budget.hides_seen]]
            mean = float(gains(ranks.above, ranks.equal, "NDCG", 10).mean())
            result = ModelResult({TUNED_ON: mean}, {})
            self.results.save(key, result)
        return Trial(config, float(result.facts[TUNED_ON])), fitted

    def _test(self, spec: ModelSpec, config: Config, seed: int, tuned: FittedModel | None) -> ModelResult:
        key = self._key(spec, config, seed, "test")
        result = self.results.load(key)
        if result is None:
            doing = f"{spec.name}: seed {seed}"
            model = tuned or self._fitted(spec, config, seed, doing)
            started_s = time.monotonic()
            ranks = rank(model.scorer, self.fold, self.fold.test, progress=self._counter(doing))
            facts = {
                "fit_s": round(model.fit_s, 2),
                "rank_s": round(time.monotonic() - started_s, 2),
                **getattr(model.scorer, "report", {}),
            }
            result = ModelResult(facts, ranks)
            self.results.save(key, result)
        return result

    def _fitted(self, spec: ModelSpec, config: Config, seed: int, doing: str) -> FittedModel:
        started_s = time.monotonic()
        self.progress(f"{doing}, fitting", 0.0)

        def show(at: TrainingProgress) -> None:
            metric = "" if at.metric is None else f", NDCG@10 {at.metric:.4f}"
            left_s = f"{at.left_s:,.0f} s left"
            share = at.elapsed_s / max(at.elapsed_s + at.left_s, 1e-9)
            self.progress(f"{doing}, epoch {at.epoch}, loss {at.loss:.3f}{metric}, {left_s}", share)

        file = self._unfinished(spec, config, seed)
        scorer = spec.make(config, seed, FitContext(self.budget, self.contents, show, file, self._networks))
        if not isinstance(scorer, LiveScorer):  # a live one is fitted anew by every ranking
            scorer.fit(self.fold.part)
        return FittedModel(scorer, time.monotonic() - started_s)

    def _unfinished(self, spec: ModelSpec, config: Config, seed: int) -> ResumeFile | None:
        """The file from which a training resumes; its key does not depend on the events ranked afterwards."""
        return self.results.unfinished(self._key(spec, config, seed, "")) if spec.trained else None

    def _counter(self, doing: str) -> Callable[[int, int], None]:
        return lambda done, total: self.progress(f"{doing}, ranking", done / total)

    def _key(self, spec: ModelSpec, config: Config, seed: int, targets: str) -> Key:
        """Everything that decides a result."""
        budget: dict[str, Any] = self.budget.to_json() if spec.trained else {}
        budget.pop("trials", None)  # decides which configurations are tried, not what comes of one
        return {
            "data": self.dataset.digest,
            "rules": self.fold.rules,
            "targets": targets,
            "asked": len(self.fold.test),
            "model": spec.name,
            "config": dict(config),
            "budget": budget,
            "contents": self.contents.digest if spec.trained else "",
            "seed": seed,
            "code": [code_version(spec.code) + spec.version, code_version(HARNESS)],
        }
