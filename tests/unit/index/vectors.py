"""Item and query vectors as trained models have them: clusters, lengths that differ, queries from one cone."""

from __future__ import annotations

import numpy as np

from core.arrays import FloatArray

WIDTH = 16


def items(num: int, *, seed: int = 0) -> FloatArray:
    """(num, WIDTH) vectors around 20 centres, of lengths between 0.5 and 1.5."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(20, WIDTH))
    vectors = centres[random.integers(0, 20, num)] + 0.5 * random.normal(size=(num, WIDTH))
    lengths = random.uniform(0.5, 1.5, (num, 1)) / np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors * lengths).astype(np.float32)


def queries(num: int, *, seed: int = 1) -> FloatArray:
    """(num, WIDTH) queries that share a direction."""
    random = np.random.default_rng(seed)
    common = np.random.default_rng(8).normal(size=WIDTH)
    return (2 * common + random.normal(size=(num, WIDTH))).astype(np.float32)
