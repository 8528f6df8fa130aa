"""The models that can be compared, by name, each with the configurations that tuning tries.

Independent of data. All trained networks try the same grid, in the same order, up to the number of trials that the
budget allows, with the same epochs and patience; counting models try all of theirs, so none gets less.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from core.errors import InvalidInput
from core.evaluation.scorers import Scorer
from core.events.history import WindowShape
from model.baselines.counting import CoOccurrence, RecentPopularity
from model.baselines.ease import EASE
from model.baselines.neighbours import VSKNN, ItemKNN
from model.baselines.networks import GRU4Rec, SASRec
from model.evaluation.blended import BlendScorer
from model.evaluation.names import MODELS
from model.evaluation.networks import Contents, NetworkClass, NetworkScorer
from model.network.config import LossWeights, ModelConfig
from model.network.hm4sr import HM4SR
from model.training.precision import Precision
from model.training.resume import ResumeFile
from model.training.train import TrainingPlan, TrainingProgress

Config = Mapping[str, Any]
TrainingCallback = Callable[[TrainingProgress], None]

HALF_LIVES_DAYS = (1, 7, 30, 90, 365, 3650)
RECENCY_HALF_LIFE = 0.3  # of the training events, see `TrainingPlan`
LOSSES = LossWeights(idcl=0.1, cp=0.1, pcl=0.1)
NETWORK_GRID: tuple[Config, ...] = (
    {"learning_rate": 2e-3, "dropout": 0.2},
    {"learning_rate": 1e-3, "dropout": 0.5},
    {"learning_rate": 2e-3, "dropout": 0.5},
    {"learning_rate": 1e-3, "dropout": 0.2},
    {"learning_rate": 5e-4, "dropout": 0.5},
    {"learning_rate": 5e-4, "dropout": 0.2},
)


@dataclass(frozen=True, slots=True)
class Budget:
    """What every trained network gets: its size, how long it may train and be tuned, and for which answers."""

    trials: int = 1
    epochs: int = 30
    patience: int = 3
    max_seconds: float | None = None  # of one training
    batch_events: int = 2048
    width: int = 64
    num_layers: int = 2
    num_heads: int = 2
    window: WindowShape = field(default_factory=WindowShape)
    device: str = "cpu"
    precision: Precision = "auto"
    hides_seen: bool = False  # answers leave out what the user has had

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return asdict(self)

    def plan(self, *, learning_rate: float) -> TrainingPlan:
        """How one network trains."""
        return TrainingPlan(
            epochs=self.epochs,
            patience=self.patience,
            max_seconds=self.max_seconds,
            batch_events=self.batch_events,
            learning_rate=learning_rate,
            device=self.device,
            precision=self.precision,
        )

    def shape(self, *, dropout: float) -> ModelConfig:
        """The size of one network."""
        return ModelConfig(
            width=self.width,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            inner_width=4 * self.width,
            dropout=dropout,
            window=self.window,
            hides_seen=self.hides_seen,
        )


@dataclass(frozen=True)
class FitContext:
    """What a model is made from beside its configuration and seed. `file`: where its training keeps its state.

    `networks`: those made before, by all that decides them: one that is wanted alone and blended is trained once.
    """

    budget: Budget
    contents: Contents
    progress: TrainingCallback
    file: ResumeFile | None = None
    networks: dict[Hashable, NetworkScorer] = field(default_factory=dict)

    def network(
        self, kind: NetworkClass, shape: ModelConfig, plan: TrainingPlan, seed: int, *, frozen_experts: bool = False
    ) -> NetworkScorer:
        """The scorer of a network of that kind, size and training."""
        scorer = NetworkScorer(kind, shape, plan, self.contents, seed, self.progress, frozen_experts, self.file)
        return self.networks.setdefault((kind, shape, plan, seed, frozen_experts), scorer)


Make = Callable[[Config, int, FitContext], Scorer]  # a configuration and a seed become a scorer


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model to compare: `grid` is what tuning tries, `code` the module whose code decides its results.

    `trained`: the budget limits its trials; `seeded`: chance plays a part. `version`: of code that no module holds.
    """

    name: str
    make: Make
    grid: Sequence[Config]
    code: str
    trained: bool = False
    seeded: bool = False
    version: str = ""

    def trials(self, budget: Budget) -> Sequence[Config]:
        """The configurations to try."""
        return self.grid[: budget.trials] if self.trained else self.grid


Change = Callable[[ModelConfig], ModelConfig]


def _with(**changes: Any) -> Change:
    return lambda config: replace(config, **changes)


def _without_loss(*names: str) -> Change:
    return lambda config: replace(config, losses=replace(config.losses, **dict.fromkeys(names, 0.0)))


def _without_content(name: str) -> Change:
    def change(config: ModelConfig) -> ModelConfig:
        if not any(content.name == name for content in config.contents):
            msg = f"--model hm4sr:no-{name}: wanted items with {name}, got none; give it (--items, --features)"
            raise InvalidInput(msg)
        return replace(config, contents=tuple(content for content in config.contents if content.name != name))

    return change


PAPER = {"fused_id": False, "repeats": False, "relative_attention": False}  # without what we have added to the network
ABLATIONS: Mapping[str, Change] = {
    "no-interactive": _with(interactive_moe=False),
    "no-temporal": _with(temporal_moe=False),
    "no-moe": _with(interactive_moe=False, temporal_moe=False),
    "no-gaps": _with(gaps="off"),
    "shuffled-gaps": _with(gaps="shuffled"),
    "no-absolute-time": _with(absolute_time=False),
    "paper": _with(**PAPER),
    "no-fused-id": _with(fused_id=False),
    "no-relative": _with(relative_attention=False),
    "no-repeats": _with(repeats=False),
    "now-gap": _with(now_gap=True),
    "id-only": _with(contents=()),
    "text-only": lambda config: replace(
        config, use_id=False, contents=tuple(content for content in config.contents if content.name == "text")
    ),
    "no-id": _with(use_id=False),
    "no-text": _without_content("text"),
    "no-image": _without_content("image"),
    "no-idcl": _without_loss("idcl"),
    "no-cp": _without_loss("cp"),
    "no-pcl": _without_loss("pcl"),
    "no-aux": _without_loss("idcl", "cp", "pcl"),
    "frozen-experts": _with(),  # also read in `_make_hm4sr`
    "sparse-experts": _with(sparse_experts=4),
    "facets": _with(facet_experts=2),
    "content-experts": _with(content_experts=4),
    "released": _with(released=True, id_dropout=0.0, **PAPER),  # the released code's ways; no expert is trained
    "unit-losses": lambda config: replace(config, losses=replace(config.losses, idcl=1.0, cp=1.0, pcl=1.0)),
}
PLANS: Mapping[str, Mapping[str, Any]] = {  # those that change how it is trained
    "recency": {"half_life": RECENCY_HALF_LIFE},
    "mixed": {"loss": "mixed", "num_samples": 1024},
    "gbce": {"loss": "gbce", "num_samples": 1024},
}


def _make_hm4sr(ablations: Sequence[str], config: Config, seed: int, setting: FitContext) -> Scorer:
    shape = setting.budget.shape(dropout=config["dropout"])
    repeats = not setting.budget.hides_seen
    shape = replace(shape, contents=setting.contents.modalities(), losses=LOSSES, repeats=repeats)
    shape = replace(shape, fused_id=True, relative_attention=True)
    for name in ablations:
        shape = ABLATIONS.get(name, _with())(shape)
    plan: dict[str, Any] = {}
    for name in ablations:
        plan |= PLANS.get(name, {})
    return _network(HM4SR, shape, config, seed, setting, frozen_experts="frozen-experts" in ablations, plan=plan)


def _make_network(
    network: NetworkClass, with_contents: bool, config: Config, seed: int, setting: FitContext, *, repeats: bool = False
) -> Scorer:
    contents = setting.contents.modalities() if with_contents else ()
    shape = setting.budget.shape(dropout=config["dropout"])
    shape = replace(shape, contents=contents, repeats=repeats and not shape.hides_seen)
    if not with_contents:
        shape = replace(shape, id_dropout=0.0)  # nothing else would say which item it was
    return _network(network, shape, config, seed, setting)


def _network(
    network: NetworkClass,
    shape: ModelConfig,
    config: Config,
    seed: int,
    setting: FitContext,
    *,
    frozen_experts: bool = False,
    plan: Mapping[str, Any] | None = None,
) -> Scorer:
    training = replace(setting.budget.plan(learning_rate=config["learning_rate"]), **(plan or {}))
    return setting.network(network, shape, training, seed, frozen_experts=frozen_experts)


def _trained(name: str, make: Make) -> ModelSpec:
    return ModelSpec(name, make, NETWORK_GRID, "model.evaluation.models", trained=True, seeded=True)


def _counting(name: str, kind: Callable[..., Scorer], grid: Sequence[Config], module: str) -> ModelSpec:
    return ModelSpec(name, lambda config, seed, setting: kind(**config), grid, module)


def _grid(**values: Sequence[Any]) -> tuple[Config, ...]:
    """All combinations."""
    configs: list[dict[str, Any]] = [{}]
    for name, options in values.items():
        configs = [{**config, name: option} for config in configs for option in options]
    return tuple(configs)


BASELINES: Mapping[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        _counting("popularity", RecentPopularity, _grid(half_life_days=HALF_LIVES_DAYS), "model.baselines.counting"),
        _counting(
            "co-occurrence",
            CoOccurrence,
            _grid(both_ways=(False, True), half_life_days=(7, 90, 3650)),
            "model.baselines.counting",
        ),
        _counting(
            "item-knn", ItemKNN, _grid(k=(100,), shrink=(0, 10), num_last=(1, 5, 50)), "model.baselines.neighbours"
        ),
        _counting(
            "vsknn",
            VSKNN,
            _grid(k=(100, 500), sample=(1000, 5000), num_last=(50,), idf=(0, 5)),
            "model.baselines.neighbours",
        ),
        _counting("ease", EASE, _grid(l2=(10, 100, 500, 1000)), "model.baselines.ease"),
        _trained("sasrec", partial(_make_network, SASRec, False)),
        _trained("sasrec-text", partial(_make_network, SASRec, True)),
        _trained("sasrec-text-repeats", partial(_make_network, SASRec, True, repeats=True)),
        _trained("gru4rec", partial(_make_network, GRU4Rec, False)),
        _trained("gru4rec-text", partial(_make_network, GRU4Rec, True)),
    )
}


BLEND = "blend"
BLENDED_BY_DEFAULT = "hm4sr"


def _make_blend(network: ModelSpec | None, config: Config, seed: int, setting: FitContext) -> Scorer:
    encoder = None if network is None else network.make(config, seed, setting)
    return BlendScorer(encoder, hides_seen=setting.budget.hides_seen)


def _blend_spec(name: str) -> ModelSpec:
    network = spec_of(name.partition(":")[2] or BLENDED_BY_DEFAULT)
    if not network.trained:
        msg = f"--model {name}: wanted a network to blend with live counts, got {network.name!r}"
        raise InvalidInput(msg)
    return _trained(name, partial(_make_blend, network))


# Its calibration depends on the budget's seen items: so a trained model, though nothing is left to chance.
COUNTS = ModelSpec("counts", partial(_make_blend, None), ({},), "model.evaluation.models", trained=True)


def available() -> tuple[str, ...]:
    """All names; ablations of `hm4sr:` may be joined by a plus sign."""
    return (*BASELINES, COUNTS.name, BLEND, "hm4sr", *(f"hm4sr:{name}" for name in (*ABLATIONS, *PLANS)))


def spec_of(name: str, extra: Mapping[str, ModelSpec] | None = None) -> ModelSpec:
    """The model of that name (`extra`: those that live elsewhere); raises `InvalidInput` for an unknown one."""
    known = {**BASELINES, COUNTS.name: COUNTS, **(extra or {})}
    if name in known:
        return known[name]
    if name.partition(":")[0] == BLEND:
        return _blend_spec(name)
    family, _, joined = name.partition(":")
    ablations = joined.split("+") if joined else []
    if family != "hm4sr" or any(ablation not in (*ABLATIONS, *PLANS) for ablation in ablations):
        names, ablations = ", ".join(MODELS), [*ABLATIONS, *PLANS]
        msg = f"--model: unknown model {name!r}; known are {names}, with the ablations {', '.join(ablations)}"
        raise InvalidInput(msg)
    return _trained(name, partial(_make_hm4sr, ablations))
