"""Results on disk, one file each under a hash of what decided them, so that a killed comparison goes on.

Independent of models. A file gets its name when it is whole; one that cannot be read is computed again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from core.arrays import IntArray
from model.evaluation.ranking import TargetRanks
from model.training.resume import ResumeFile

Key = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelResult:
    """What one fitted model did: facts as JSON values, and the ranks if it was tested."""

    facts: Mapping[str, Any]
    ranks: Mapping[str, TargetRanks]


class ResultCache:
    """A folder of results; without a folder nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def load(self, key: Key) -> ModelResult | None:
        """The result under a key, if there is one that can be read."""
        path = self._path(key)
        if path is None or not path.exists():
            return None
        try:
            with path.open("rb") as stream, np.load(stream) as arrays_read:
                document = json.loads(str(arrays_read["document"]))
                ranks = {seen: _unpacked(arrays_read, document, seen) for seen in document["shown"]}
        except (OSError, EOFError, ValueError, KeyError, BadZipFile):
            return None
        return ModelResult(document["facts"], ranks)

    def save(self, key: Key, result: ModelResult) -> None:
        """Keep a result."""
        path = self._path(key)
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        num_shown = {seen: dict(ranks.num_shown) for seen, ranks in result.ranks.items()}
        document = json.dumps({"key": dict(key), "facts": dict(result.facts), "shown": num_shown})
        arrays: dict[str, Any] = {"document": np.array(document)}
        for seen, ranks in result.ranks.items():
            arrays[f"above_{seen}"], arrays[f"equal_{seen}"] = ranks.above, ranks.equal
        aside = path.with_suffix(f".{os.getpid()}.part")
        with aside.open("wb") as stream:
            np.savez_compressed(stream, **arrays)
        aside.replace(path)

    def unfinished(self, key: Key) -> ResumeFile | None:
        """Where the training behind a result keeps its state, so that a killed one goes on at its last epoch."""
        name = _name(key)
        return None if self._folder is None else ResumeFile(self._folder / f"{name}.run", name)

    def _path(self, key: Key) -> Path | None:
        return None if self._folder is None else self._folder / f"{_name(key)}.npz"


def _name(key: Key) -> str:
    text = json.dumps(dict(key), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _unpacked(arrays_read: Mapping[str, IntArray], document: Mapping[str, Any], seen: str) -> TargetRanks:
    num_shown = {int(top): int(count) for top, count in document["shown"][seen].items()}
    return TargetRanks(arrays_read[f"above_{seen}"], arrays_read[f"equal_{seen}"], num_shown)
