"""A training run on disk, so that a killed one goes on where its last epoch ended. Independent of how to train.

One safetensors file, replaced atomically after each epoch: weights, best weights so far, the optimiser's moments and
both generators' states. Its metadata holds the counters and a fingerprint of everything that decides the run; a file
with another fingerprint, or a damaged one, is no run to go on with, and training starts afresh.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from core.catalogue.items import Catalogue
from core.records.stored import EventColumns
from model.training.adam import Adam


@dataclass(slots=True)
class Counters:
    """Where a run stands after an epoch."""

    epoch: int = 0
    step: int = 0
    gained_at: int = 0
    elapsed_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RunState:
    """Everything that the rest of a run depends on."""

    counters: Counters
    history: list[float]
    best: dict[str, Tensor]


def fingerprint(columns: EventColumns, catalogue: Catalogue, *settings: object) -> str:
    """A hash of the events, the catalogue's content and the settings of a run."""
    digest = hashlib.blake2b(digest_size=16)
    for array in (columns.users, columns.items, columns.times_ms, catalogue.keys):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(repr((catalogue.item_ids, catalogue.texts, catalogue.categories, settings)).encode())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class StoredRun:
    """What a file holds of a run."""

    run: dict[str, Any]
    tensors: dict[str, Tensor]

    def restore(self, model: nn.Module, optimizer: Adam, rng: np.random.Generator, draws: torch.Generator) -> RunState:
        """Put model, optimiser and generators where the run stood."""
        model.load_state_dict(_under(self.tensors, "model."))
        optimizer.load(_under(self.tensors, "optimizer."))
        draws.set_state(self.tensors["torch_rng"])
        rng.bit_generator.state = self.run["numpy_rng"]
        best = _under(self.tensors, "best.")
        return RunState(Counters(*self.run["counters"]), list(self.run["history"]), best)


@dataclass(frozen=True, slots=True)
class ResumeFile:
    """The file of one run."""

    path: Path
    fingerprint: str

    def save(
        self, state: RunState, model: nn.Module, optimizer: Adam, rng: np.random.Generator, draws: torch.Generator
    ) -> None:
        """Replace the file by the present state."""
        tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in state.best.items()}
        tensors |= {f"optimizer.{name}": tensor for name, tensor in optimizer.state().items()}
        tensors["torch_rng"] = draws.get_state()
        counters = state.counters
        run = {
            "fingerprint": self.fingerprint,
            "counters": [counters.epoch, counters.step, counters.gained_at, counters.elapsed_s],
            "history": state.history,
            "numpy_rng": rng.bit_generator.state,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        aside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
        save_file(copies, aside, metadata={"run": json.dumps(run)})
        aside.replace(self.path)

    def read(self) -> StoredRun | None:
        """The stored state of this very run, whole; None where there is none."""
        try:
            with safe_open(self.path, "pt") as file:
                run = json.loads(file.metadata()["run"])
                if run["fingerprint"] != self.fingerprint:
                    return None
                return StoredRun(run, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 (not a dict)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            return None  # absent, damaged or of another layout: a run that starts afresh loses time and nothing else

    def remove(self) -> None:
        """The run has ended."""
        self.path.unlink(missing_ok=True)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
