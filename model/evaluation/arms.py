"""The arms of a prequential evaluation: who answers, and what is trained when, on what.

    popularity, co-occurrence, counts, vsknn   counting models; all but the last learn from each event, that at period
                     ends. counts: transition counts and popularity as without a model, weighted by the newest events
                     before the cut
    frozen-frozen    a model trained before the cut, users as they were then
    frozen           the same model, users as they are: the reference
    fine-tune        fine-tuned at each period's end on the period's events alone
    fine-tune+replay with as many old events drawn at random
    fine-tune+rank   the same by low-rank updates, anchored
    retrain          trained anew on everything at each period's end
    product          fine-tune+replay by the product's defaults: its network and trainings, blended with live counts
    product:encoder  the same without live counts

All other networks begin with the same model of a seed. Trained models are kept on disk, so that a killed run goes on.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from core.catalogue.items import Catalogue
from core.errors import CheckpointError, InvalidInput
from core.evaluation.scorers import Scorer
from core.records.stored import EventColumns
from model.baselines.counting import CoOccurrence, RecentPopularity
from model.baselines.neighbours import VSKNN
from model.bundle import HM4SRBundle
from model.checkpoint import load, save
from model.evaluation.blended import BlendScorer
from model.evaluation.prequential import ArmResult, DeployedModel, PrequentialStream, Ticker, run_models, run_scorer
from model.network.config import ModelConfig
from model.training.fine_tuning import FineTuningPlan, fine_tune
from model.training.plan import TrainingPlan
from model.training.train import train

COUNTING: Mapping[str, Callable[[bool], Scorer]] = {  # given whether seen items are hidden
    "popularity": lambda hides_seen: RecentPopularity(half_life_days=7),
    "co-occurrence": lambda hides_seen: CoOccurrence(half_life_days=7, both_ways=True),
    "counts": lambda hides_seen: BlendScorer(None, hides_seen=hides_seen),
    "vsknn": lambda hides_seen: VSKNN(k=100, sample=1000, num_last=50),
}
NETWORKS = ("frozen-frozen", "frozen", "fine-tune", "fine-tune+replay", "fine-tune+rank", "retrain")
PRODUCT, ENCODER = "product", "product:encoder"
ARMS = (*COUNTING, *NETWORKS, PRODUCT, ENCODER)
DEFAULT_ARMS = tuple(name for name in ARMS if name not in ("counts", "fine-tune+rank", PRODUCT, ENCODER))
REFERENCE = "frozen"
TUNINGS: Mapping[str, Mapping[str, Any]] = {  # how each fine-tuned arm differs from the recipe's fine-tunes
    "fine-tune": {"replay": 0.0},
    "fine-tune+replay": {},
    "fine-tune+rank": {"rank": 4, "anchor": 1.0},
    PRODUCT: {},
    ENCODER: {},
}


class Blender(Protocol):
    """Fits the blend of a model to events that it has not learnt from."""

    def __call__(
        self,
        bundle: HM4SRBundle,
        columns: EventColumns,
        catalogue: Catalogue,
        *,
        since_ms: int | None,
        before_training: HM4SRBundle | None,
    ) -> HM4SRBundle:
        """The bundle with its blend.

        `since_ms`: where the events begin that a fine-tune has learnt from and `before_training` has not; None of a
        full training, whose newest events were held out.
        """


@dataclass(frozen=True)
class TrainingRecipe:
    """How networks train. `event_ms_per_s`: how much of the log's time passes in a second of training.

    `blender`: of the product's arm alone.
    """

    config: ModelConfig
    plan: TrainingPlan
    tuning: FineTuningPlan
    event_ms_per_s: float = 1000.0
    folder: Path | None = None
    blender: Blender | None = None


def check(names: Sequence[str]) -> None:
    """Raise `InvalidInput` for an arm that there is not."""
    unknown = [name for name in names if name not in ARMS]
    if unknown:
        msg = f"--model: wanted arms among {', '.join(ARMS)}, got {', '.join(unknown)}"
        raise InvalidInput(msg)


def run_arm(stream: PrequentialStream, name: str, recipe: TrainingRecipe, *, seed: int, tick: Ticker) -> ArmResult:
    """One arm's ranks of all test events."""
    if name in COUNTING:
        return run_scorer(stream, COUNTING[name](stream.hide_seen), tick=tick)
    models = _models(stream, name, recipe, seed)
    if name == PRODUCT:
        models = _blended(stream, recipe, models)
    return run_models(stream, models, frozen=name == "frozen-frozen", shape=recipe.config.window, tick=tick)


def _models(stream: PrequentialStream, name: str, recipe: TrainingRecipe, seed: int) -> list[DeployedModel]:
    """The first model, and those of the ends of periods."""
    starts_ms = [int(start) for start in stream.starts_ms]
    chain = [_trained(stream, recipe, seed, starts_ms[0])]
    if name in TUNINGS:
        tuning = replace(recipe.tuning, **TUNINGS[name])
        for since_ms, until_ms in pairwise(starts_ms):
            chain.append(_tuned(stream, recipe, tuning, seed, chain[-1], since_ms, until_ms))
    elif name == "retrain":
        chain += [_trained(stream, recipe, seed, until_ms) for until_ms in starts_ms[1:]]
    return [replace(chain[0], from_ms=0), *chain[1:]]


def _blended(stream: PrequentialStream, recipe: TrainingRecipe, chain: Sequence[DeployedModel]) -> list[DeployedModel]:
    """Models that were fine-tuned one after the other, each with its blend."""
    if recipe.blender is None:
        return list(chain)
    blended = []
    for before, model in zip((None, *chain), chain, strict=False):
        begun_s = time.process_time()
        bundle = recipe.blender(
            _network_of(model),
            stream.before(model.until_ms),
            stream.catalogue_at(model.until_ms),
            since_ms=before.until_ms if before else None,
            before_training=_network_of(before) if before else None,
        )
        blended.append(replace(model, bundle=bundle, train_s=model.train_s + time.process_time() - begun_s))
    return blended


def _network_of(model: DeployedModel) -> HM4SRBundle:
    assert isinstance(model.bundle, HM4SRBundle)
    return model.bundle


def _trained(stream: PrequentialStream, recipe: TrainingRecipe, seed: int, until_ms: int) -> DeployedModel:
    key = {"full": asdict(recipe.plan), "config": recipe.config.to_json(), "until": until_ms, "seed": seed}

    def make() -> HM4SRBundle:
        catalogue, columns = stream.catalogue_at(until_ms), stream.before(until_ms)
        return train(columns, catalogue, config=recipe.config, plan=recipe.plan, seed=seed)

    return _kept(stream, recipe, key, make, until_ms)


def _tuned(
    stream: PrequentialStream,
    recipe: TrainingRecipe,
    tuning: FineTuningPlan,
    seed: int,
    parent: DeployedModel,
    since_ms: int,
    until_ms: int,
) -> DeployedModel:
    key = {"tuned": asdict(tuning), "parent": parent.bundle.version, "until": until_ms, "seed": seed}

    def make() -> HM4SRBundle:
        catalogue, columns = stream.catalogue_at(until_ms), stream.before(until_ms)
        return fine_tune(_network_of(parent), columns, catalogue, since_ms=since_ms, plan=tuning, seed=seed)

    return _kept(stream, recipe, key, make, until_ms)


def _kept(
    stream: PrequentialStream,
    recipe: TrainingRecipe,
    key: Mapping[str, Any],
    make: Callable[[], HM4SRBundle],
    until_ms: int,
) -> DeployedModel:
    """The model from disk, or trained and saved there; either way with its training time."""
    text = json.dumps({**key, "data": stream.dataset.digest}, sort_keys=True)
    name = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
    path = recipe.folder / name if recipe.folder else None
    bundle = _loaded(path)
    if bundle is None:
        begun_s, cpu_s = time.monotonic(), time.process_time()
        bundle = make()
        cost = {"wall_s": time.monotonic() - begun_s, "cpu_s": time.process_time() - cpu_s}
        bundle = replace(bundle, report={**bundle.report, **cost})
        if path is not None:
            save(bundle, path)
    took_ms = float(bundle.report["wall_s"]) * recipe.event_ms_per_s
    return DeployedModel(bundle, until_ms, until_ms + round(took_ms), float(bundle.report["cpu_s"]))


def _loaded(path: Path | None) -> HM4SRBundle | None:
    """A kept model; None where there is none, or none that is whole."""
    if path is None or not path.exists():
        return None
    try:
        return load(path)
    except CheckpointError:
        return None
