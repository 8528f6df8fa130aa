"""RecTools' transformers (https://rectools.readthedocs.io): SASRec, SASRec with LiGR blocks (eSASRec), and BERT4Rec.

Their networks, losses, samplers and data preparation; ours are that the best epoch is chosen by the metric that chooses
it in Tidewise's own trainings, and that a loss is computed at targets only, without the padding.

Shapes: B sessions, L places of a session, T targets in a batch, N items, D width.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import torch
from exchange import PeerTask, Progress, Queries
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import BERT4RecModel, SASRecModel
from rectools.models.nn.transformers.lightning import TransformerLightningModule
from rectools.models.nn.transformers.ligr import LiGRLayers

SAMPLED: Mapping[str, Any] = {"loss": "sampled_softmax", "n_negatives": 256}
LIGR: Mapping[str, Any] = {"transformer_layers_type": LiGRLayers, "use_key_padding_mask": True}
MODELS: Mapping[str, tuple[Any, Mapping[str, Any]]] = {
    "sasrec": (SASRecModel, {"loss": "softmax"}),
    "sasrec-sampled": (SASRecModel, SAMPLED),
    "ligr": (SASRecModel, {**SAMPLED, **LIGR}),
    "bert4rec": (BERT4RecModel, {"loss": "softmax"}),
}
SESSIONS_AT_ONCE = 256
PATIENCE = 50  # epochs without a gain, as in eSASRec's benchmark: the first epochs on a small log can gain nothing
DEPTH = 10  # of the validation's NDCG


class TargetsOnly(TransformerLightningModule):
    """RecTools' training step without the logits at padding, which weigh 0 in its losses: the same loss, sooner."""

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor | None:
        """The loss of a batch; None, which Lightning skips, for one without any target."""
        targets_BL = batch["y"] != 0
        if not targets_BL.any():
            return None
        items_ND = self.torch_model.item_model.get_all_embeddings()
        sessions_BLD = self.torch_model.encode_sessions(batch, items_ND)
        target_1T = batch["y"][targets_BL][None]
        candidates = None
        if self._requires_negatives:
            candidates = torch.cat([target_1T[..., None], batch["negatives"][targets_BL][None]], dim=-1)
        logits = self.torch_model.similarity_module(sessions_BLD[targets_BL][None], items_ND, candidates)
        return self.loss_calculator(logits / self.logits_t, target_1T, batch["yw"][targets_BL][None])


class EarlyStopping(Callback):
    """Validates after each epoch, ends the training by patience or time, and leaves the best weights."""

    def __init__(self, task: PeerTask, progress: Progress) -> None:
        self._task, self._progress = task, progress
        self._begun_s = time.monotonic()
        self._best, self._waited = -1.0, 0
        self._weights: dict[str, torch.Tensor] | None = None
        self._losses: list[float] = []
        self.metrics: list[float] = []

    def __deepcopy__(self, memo: object) -> EarlyStopping:
        return self  # RecTools trains with a copy of its trainer

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, outputs: Any, *_: object) -> None:
        """End on time."""
        self._losses.append(float(outputs["loss"]))
        limit_s = self._task.max_seconds
        if limit_s is not None and time.monotonic() - self._begun_s > limit_s:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Validate, keep the best, count epochs without a gain."""
        metric = self._validate(module) if len(self._task.validation.users) else None
        self._progress(
            {
                "epoch": trainer.current_epoch + 1,
                "loss": float(np.mean(self._losses)),
                "metric": metric,
                "elapsed_s": time.monotonic() - self._begun_s,
            }
        )
        self._losses.clear()
        if metric is None:
            return
        self.metrics.append(metric)
        self._waited = 0 if metric > self._best else self._waited + 1
        if metric > self._best:
            self._best = metric
            self._weights = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        if self._waited >= PATIENCE:
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Return to the best epoch."""
        if self._weights is not None:
            module.load_state_dict(self._weights)

    def _validate(self, module: LightningModule) -> float:
        """NDCG of the validation queries; an unanswered one counts 0."""
        validation = self._task.validation
        items, vectors_ND = item_vectors(module)
        column_of = np.full(self._task.num_items, -1)
        column_of[items] = np.arange(len(items))
        rows, queries_QD = encode(module, validation.histories)
        columns = column_of[validation.targets[rows]]
        gains = [
            self._gain(query_D @ vectors_ND.T, column_of[validation.histories[row]], column)
            for row, query_D, column in zip(rows, queries_QD, columns, strict=True)
            if column >= 0
        ]
        module.train()
        return float(sum(gains)) / len(validation.users)

    def _gain(self, scores_N: np.ndarray, seen: np.ndarray, target: int) -> float:
        if self._task.hides_seen:
            scores_N[seen[seen >= 0]] = -np.inf
        above = int((scores_N > scores_N[target]).sum())
        hidden = np.isneginf(scores_N[target])
        return 1 / np.log2(above + 2) if above < DEPTH and not hidden else 0.0


class RecToolsModel:
    """One transformer."""

    def __init__(self, name: str, task: PeerTask) -> None:
        self._task = task
        torch.set_num_threads(task.threads)
        seed_everything(task.seed, workers=True)
        kind, settings = MODELS[name]
        self.model = kind(
            **settings,
            **task.config,
            session_max_len=task.window,
            lightning_module_type=TargetsOnly,
            recommend_torch_device=task.device,
        )

    def fit(self, progress: Progress) -> dict[str, Any]:
        """Train by Lightning on one device."""
        stopping = EarlyStopping(self._task, progress)
        self.model._trainer = Trainer(  # RecTools' documentation names this attribute for a trainer of one's own
            max_epochs=self._task.epochs,
            accelerator="gpu" if self._task.device == "cuda" else "cpu",
            devices=1,
            callbacks=[stopping],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        self.model.fit(dataset_of(self._task))
        self._module = self.model.lightning_model.to(self._task.device)
        return {
            "epochs": self.model.fit_trainer.current_epoch,
            "validation": stopping.metrics,
            "parameters": sum(parameter.numel() for parameter in self.model.torch_model.parameters()),
            "rectools": version("rectools"),
            "torch": version("torch"),
        }

    def item_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """The items of training sequences."""
        return item_vectors(self._module)

    def query_vectors(self, queries: Queries) -> tuple[np.ndarray, np.ndarray]:
        """From the newest known items of each history."""
        return encode(self._module, queries.histories)


def dataset_of(task: PeerTask) -> Dataset:
    """The training events as RecTools reads them; equal times keep their order."""
    columns = {
        Columns.User: task.users,
        Columns.Item: task.items,
        Columns.Weight: np.ones(len(task.users)),
        Columns.Datetime: pd.to_datetime(task.times_ms, unit="ms"),
    }
    return Dataset.construct(pd.DataFrame(columns))


@torch.no_grad()
def item_vectors(module: LightningModule) -> tuple[np.ndarray, np.ndarray]:
    """(N,) item ids and their (N, D) vectors."""
    module.eval()
    preparator, network = module.data_preparator, module.torch_model
    items_ND = network.similarity_module.item_tower_forward(network.item_model.get_all_embeddings())
    known = preparator.get_known_item_ids().astype(np.int64)
    return known, items_ND[preparator.n_item_extra_tokens :].float().cpu().numpy()


@torch.no_grad()
def encode(module: LightningModule, histories: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(R,) rows of histories with a known item, and their (R, D) vectors, those of RecTools' `recommend`."""
    module.eval()
    preparator, network = module.data_preparator, module.torch_model
    known = preparator.get_known_item_ids().astype(np.int64)
    number_of = np.zeros(int(known.max()) + 1, np.int64)
    number_of[known] = np.arange(len(known)) + preparator.n_item_extra_tokens
    sessions = [number_of[history[history < len(number_of)]] for history in histories]
    sessions = [numbers[numbers > 0] for numbers in sessions]
    rows = np.flatnonzero([len(numbers) for numbers in sessions])
    items_ND = network.item_model.get_all_embeddings()
    vectors = [np.zeros((0, items_ND.shape[1]), np.float32)]
    for begin in range(0, len(rows), SESSIONS_AT_ONCE):
        chunk = [(sessions[row].tolist(), [], {}) for row in rows[begin : begin + SESSIONS_AT_ONCE]]
        batch = {name: tensor.to(module.device) for name, tensor in preparator._collate_fn_recommend(chunk).items()}
        last_BD = network.encode_sessions(batch, items_ND)[:, -1]
        vectors.append(network.similarity_module.session_tower_forward(last_BD).float().cpu().numpy())
    return rows, np.concatenate(vectors)
