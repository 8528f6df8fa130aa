"""The peers by name, each with the configurations that tuning tries, the ones that its authors recommend first.

RecTools' are those of eSASRec's public benchmark (`blondered/transformer_benchmark`, table "Hyperparameters for all
datasets"; arXiv 2508.06450): learning rate 0.001, batches of 128 users, 256 negatives. The length of a session is the
window of the evaluation. implicit's are its tutorial's and its defaults, and around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from core.evaluation.scorers import Scorer
from model.evaluation.models import Config, FitContext, ModelSpec
from model.evaluation.peers.process import PeerEnvironment
from model.evaluation.peers.scorer import PeerScorer

TRANSFORMER_GRID: tuple[Config, ...] = (
    {"n_factors": 64, "n_blocks": 1, "n_heads": 1, "dropout_rate": 0.2},  # Amazon's Beauty, Sports and Toys
    {"n_factors": 64, "n_blocks": 2, "n_heads": 1, "dropout_rate": 0.1},  # MovieLens 1M
    {"n_factors": 256, "n_blocks": 2, "n_heads": 2, "dropout_rate": 0.1},  # Kion
    {"n_factors": 256, "n_blocks": 1, "n_heads": 1, "dropout_rate": 0.2},  # the benchmark's files for Amazon
    {"n_factors": 256, "n_blocks": 2, "n_heads": 4, "dropout_rate": 0.2},  # RecTools' defaults
)
ALS_GRID: tuple[Config, ...] = (
    {"factors": 64, "regularization": 0.05, "alpha": 2.0, "iterations": 15},  # the tutorial
    {"factors": 100, "regularization": 0.01, "alpha": 1.0, "iterations": 15},  # the defaults
    {"factors": 64, "regularization": 0.05, "alpha": 40.0, "iterations": 15},  # alpha of Hu, Koren and Volinsky 2008
    {"factors": 256, "regularization": 0.05, "alpha": 2.0, "iterations": 15},
    {"factors": 256, "regularization": 1.0, "alpha": 10.0, "iterations": 15},
)
BPR_GRID: tuple[Config, ...] = (
    {"factors": 100, "learning_rate": 0.01, "regularization": 0.01, "iterations": 100},  # the defaults
    {"factors": 64, "learning_rate": 0.05, "regularization": 0.01, "iterations": 100},
    {"factors": 64, "learning_rate": 0.05, "regularization": 0.002, "iterations": 200},
)


def peer_specs(environment: PeerEnvironment | None = None) -> dict[str, ModelSpec]:
    """All peers. RecTools' networks get the budget of our networks; implicit's models try all of their grid."""
    environment = environment or PeerEnvironment()
    ligr = [{**config, "transformer_layers_kwargs": {"ff_factors_multiplier": 4}} for config in TRANSFORMER_GRID]
    ligr[0] = {**TRANSFORMER_GRID[0], "transformer_layers_kwargs": {"ff_factors_multiplier": 1}}
    networks: dict[str, Sequence[Config]] = {
        "rectools:sasrec": TRANSFORMER_GRID,
        "rectools:sasrec-sampled": TRANSFORMER_GRID,
        "rectools:ligr": ligr,
        "rectools:bert4rec": TRANSFORMER_GRID[1:],
    }
    factors = {"implicit:als": ALS_GRID, "implicit:bpr": BPR_GRID}
    trained = {name: peer_spec(name, grid, environment, trained=True) for name, grid in networks.items()}
    return trained | {name: peer_spec(name, grid, environment, trained=False) for name, grid in factors.items()}


def peer_spec(name: str, grid: Sequence[Config], environment: PeerEnvironment, *, trained: bool) -> ModelSpec:
    """One peer; `trained`: the budget limits its trials and its training."""
    make = partial(_make, name, environment)
    version = environment.version()
    return ModelSpec(name, make, grid, "model.evaluation.peers.scorer", trained=trained, seeded=True, version=version)


def _make(name: str, environment: PeerEnvironment, config: Config, seed: int, setting: FitContext) -> Scorer:
    return PeerScorer(
        name,
        config,
        setting.budget,
        seed,
        environment=environment,
        num_threads=torch.get_num_threads(),
        progress=setting.progress,
    )
