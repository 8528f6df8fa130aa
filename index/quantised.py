"""Approximate inner-product search over one immutable set of item vectors, with exact scores.

Inverted lists hold 4-bit codes of the vectors: a product quantiser with one dimension per code, the form that FAISS
scans fastest (fast scan). A search scans the codes of the best lists and computes the scores of the best candidates
from the vectors themselves; it takes more candidates while the codes' error could hide a better one. How many lists are
scanned is measured on queries at the build.
Shapes: N items, D width, M queries, C lists.
"""

from __future__ import annotations

from typing import Self

import faiss
import numpy as np
from numpy.typing import NDArray

from core.arrays import BoolArray, FloatArray, IntArray, best_places
from core.ports.array_folders import Arrays
from index.clusters import Clusters, cluster
from index.exact import ExactIndex, check_query
from index.probes import DEPTHS, ProbeCounts
from index.recall import RecallSample

CODE_BITS = 4
ENCODER_POINTS = 65_536  # vectors on which the code levels are trained
SMALL_SHARE = 0.02  # up to this share of allowed rows, computing their products is cheaper than a scan of all codes
LARGE_SHARE = 0.25  # from this share of candidates among the allowed rows, an exact scan is cheaper
FIRST_CANDIDATES = 4  # rows per answer, and 512 more, whose exact scores are computed at the first try
GROWTH = 4
MARGIN = 3.0  # standard deviations of the codes' error by which the last candidate is below the n-th best score
AIM = 0.995  # recall up to which lists are added; above `RECALL_BOUND`, because a sample measures it inexactly
LEAST_GAIN = 0.001  # the gain in recall that is worth scanning twice as many lists
TUNING_SHARE = 0.5  # of the queries cluster and tune, the others measure recall


class QuantisedIndex:
    """Scans the codes of some lists.

    `recall`: recall@10 on queries that were not used to build it, measured against `exact`.
    """

    def __init__(self, exact: ExactIndex, codes: faiss.IndexIVFPQFastScan, probes: ProbeCounts, recall: float) -> None:
        """`codes`: of all vectors of `exact`, in their lists."""
        self._exact = exact
        self._codes = codes
        self._probes = probes
        self._memory: NDArray[np.uint8] | None = None  # of `codes`, where they were read from it
        self.recall = recall
        self._rows_are_positions = bool(len(exact)) and int(exact.rows[-1]) == len(exact) - 1

    @classmethod
    def built(cls, exact: ExactIndex, queries: FloatArray) -> Self:
        """`exact`: holds the rows and vectors. `queries`: (M, D) like those that will be searched, at least 2."""
        num_tuning = max(1, int(TUNING_SHARE * len(queries)))
        tuning, measured = queries[:num_tuning], queries[num_tuning:]
        clusters = cluster(exact.vectors, tuning)
        index = cls(exact, _encoded(exact, clusters), ProbeCounts.tuned(exact, clusters, tuning), 0.0)
        sample = RecallSample.of(exact, measured)
        index.recall = sample.recall(index)
        while index.recall < AIM and (more := index._probes.doubled()):
            fewer, index._probes = index._probes, more
            better = sample.recall(index)
            if better - index.recall < LEAST_GAIN:  # what is missed is not in the other lists
                index._probes = fewer
                break
            index.recall = better
        return index

    @classmethod
    def of(cls, exact: ExactIndex, arrays: Arrays) -> Self:
        """The index over `exact` whose `arrays` these are."""
        num_lists, *num_probes = arrays["probes"].tolist()
        codes = _read(arrays["codes"])
        assert isinstance(codes, faiss.IndexIVFPQFastScan)
        index = cls(exact, codes, ProbeCounts(tuple(num_probes), num_lists), float(arrays["recall"][0]))
        index._memory = arrays["codes"]
        return index

    def arrays(self) -> Arrays:
        """All but the vectors, as `of` reads it."""
        return {
            "codes": faiss.serialize_index(self._codes),
            "probes": np.array([self._probes.num_lists, *self._probes.num_probes]),
            "recall": np.array([self.recall]),
        }

    def __len__(self) -> int:
        return len(self._exact)

    def search(
        self, query: FloatArray, n: int, *, allowed: BoolArray | None = None, num_gone: int = 0
    ) -> tuple[IntArray, FloatArray]:
        """The n best rows, of which some may be missed, and their exact inner products, descending, ties by row.

        Never fewer than n while n are allowed. `num_gone`: how many rows nobody may get any more; unlike those that are
        excluded for one user, they are no better than others, so they do not make the search deeper.
        """
        check_query(query)
        num_allowed = len(self) if allowed is None else min(len(self), int(np.count_nonzero(allowed)))
        if n <= 0 or num_allowed <= max(n, SMALL_SHARE * len(self)):
            return self._exact.search(query, n, allowed=allowed)
        depth = n + max(0, len(self) - num_gone - num_allowed)  # the best n allowed rows are among so many of all
        if allowed is not None and depth > DEPTHS[-1]:
            best = self._among_the_best_of_all(query, n, allowed)
            if best is not None:
                return best
        num = FIRST_CANDIDATES * n + 512
        while num < LARGE_SHARE * num_allowed:
            rows, estimates = self._scan(query, num, self._probes.at(depth), allowed)
            if len(rows) < n:
                break
            best = self._best_of(query, n, rows, estimates, last=-np.inf if len(rows) < num else estimates[-1])
            if best is not None:
                return best
            num *= GROWTH
        return self._exact.search(query, n, allowed=allowed)

    def _among_the_best_of_all(
        self, query: FloatArray, n: int, allowed: BoolArray
    ) -> tuple[IntArray, FloatArray] | None:
        """The best n allowed rows, if they are among the best rows of all; much cheaper than a scan of all lists."""
        rows, estimates = self._scan(query, DEPTHS[-1], self._probes.at(DEPTHS[-1]), None)
        kept = allowed[rows]
        if np.count_nonzero(kept) < n:
            return None
        return self._best_of(query, n, rows[kept], estimates[kept], last=estimates[-1])

    def _best_of(
        self, query: FloatArray, n: int, rows: IntArray, estimates: FloatArray, *, last: float
    ) -> tuple[IntArray, FloatArray] | None:
        """The best n of the rows by their exact scores; None if another one, estimated below `last`, may be better."""
        order = np.argsort(rows)
        rows, estimates = rows[order], estimates[order]
        scores: FloatArray = self._exact.vectors[self._positions(rows)] @ query
        best = best_places(scores, n)
        if last > scores[best[-1]] - MARGIN * np.std(estimates - scores):
            return None
        return rows[best], scores[best]

    def _scan(
        self, query: FloatArray, num: int, num_probes: int, allowed: BoolArray | None
    ) -> tuple[IntArray, FloatArray]:
        """Up to `num` allowed rows with the scores that their codes give, in descending order of these."""
        bits = None if allowed is None else np.packbits(allowed, bitorder="little")  # must outlive the search
        parameters = faiss.SearchParametersIVF()
        parameters.nprobe = num_probes
        if bits is not None:
            parameters.sel = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
        estimates, rows = self._codes.search(np.ascontiguousarray(query[None], np.float32), num, params=parameters)
        known = rows[0] >= 0
        return rows[0, known], estimates[0, known]

    def _positions(self, rows: IntArray) -> IntArray:
        return rows if self._rows_are_positions else np.searchsorted(self._exact.rows, rows)


def _read(codes: NDArray[np.uint8]) -> faiss.Index:
    """The index of serialised codes, whose memory it may use: whoever has it keeps that too."""
    reader = faiss.ZeroCopyIOReader(faiss.swig_ptr(codes), codes.size)  # type: ignore[attr-defined]  # its stubs lack it
    return faiss.read_index(reader)


def _encoded(exact: ExactIndex, clusters: Clusters) -> faiss.IndexIVFPQFastScan:
    """The codes of all vectors in their lists; made by the plain index, which takes lists as given, then packed."""
    width = exact.vectors.shape[1]
    quantiser = faiss.IndexFlatIP(width)
    quantiser.add(clusters.means)
    plain = faiss.IndexIVFPQ(quantiser, width, len(clusters.means), width, CODE_BITS, faiss.METRIC_INNER_PRODUCT)
    plain.by_residual = False
    step = max(1, len(exact) // ENCODER_POINTS)
    plain.train(np.ascontiguousarray(exact.vectors[::step]))
    lists = np.ascontiguousarray(clusters.lists, np.int64)
    plain.add_core(
        len(exact),
        faiss.swig_ptr(exact.vectors),
        faiss.swig_ptr(exact.rows),
        faiss.swig_ptr(lists),
    )
    packed = faiss.IndexIVFPQFastScan(plain)
    quantiser.this.disown()  # type: ignore[attr-defined]
    packed.own_fields = True  # of the quantiser, which would end with this function
    return packed
