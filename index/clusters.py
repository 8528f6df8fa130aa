"""Clusters of item vectors for inverted lists, made for the queries that will be asked.

Plain k-means puts items together that are near each other. What matters is whether they score alike: the expected
squared difference of the scores of x and y is (x - y)' E[q q'] (x - y), so items are clustered under that metric. On
trained tables this halves the share of the items that a search must scan, or better (docs/decisions/0041). A list is
probed by the inner product of the query and the mean of the list's vectors.
Shapes: N items, D width, M queries, C lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import faiss
import numpy as np

from core.arrays import FloatArray, IntArray

SMOOTHING = 2.0  # of E[q q'] towards the identity, in mean eigenvalues: the sample of queries is small
TRAINING_POINTS = 64  # per list
ITERATIONS = 8
SEED = 1


@dataclass(frozen=True, slots=True)
class Clusters:
    """(N,) the list of each vector, and (C, D) the mean vector of each list."""

    lists: IntArray
    means: FloatArray


def num_lists_for(num_items: int) -> int:
    """C: the power of two nearest to the square root of the number of items."""
    return int(2 ** round(np.log2(max(1, num_items)) / 2))


def cluster(vectors: FloatArray, queries: FloatArray) -> Clusters:
    """The clusters of (N, D) vectors for (M, D) queries; the same ones for the same input."""
    num_lists = num_lists_for(len(vectors))
    scored = np.ascontiguousarray(vectors @ _root_of_metric(queries), np.float32)
    kmeans = faiss.Kmeans(
        vectors.shape[1],
        num_lists,
        niter=ITERATIONS,
        seed=SEED,
        min_points_per_centroid=1,
        max_points_per_centroid=TRAINING_POINTS,
    )
    kmeans.train(scored)
    lists = kmeans.index.search(scored, 1)[1][:, 0]
    return Clusters(lists, _means(vectors, lists, num_lists))


def _root_of_metric(queries: FloatArray) -> FloatArray:
    """(D, D) L with L L' = E[q q'] + smoothing, so that the metric of x is the plain one of x L."""
    moments = queries.T.astype(np.float64) @ queries / max(1, len(queries))
    values, axes = np.linalg.eigh(moments)
    values = np.maximum(values, 0) + SMOOTHING * max(values.sum() / len(values), np.finfo(np.float32).tiny)
    root: FloatArray = (axes * np.sqrt(values)).astype(np.float32)
    return root


def _means(vectors: FloatArray, lists: IntArray, num_lists: int) -> FloatArray:
    """(C, D) the mean vector of each list; 0 for an empty one."""
    order = np.argsort(lists, kind="stable")
    begins = np.searchsorted(lists[order], np.arange(num_lists + 1))
    means = np.zeros((num_lists, vectors.shape[1]), np.float32)
    for number, (begin, end) in enumerate(pairwise(begins.tolist())):
        if end > begin:
            means[number] = vectors[order[begin:end]].mean(axis=0)
    return means
