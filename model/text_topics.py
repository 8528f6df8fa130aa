"""Topics out of texts, for items that have no category: clusters of TF-IDF vectors, named by words that set each apart.

Independent of the network or about where topics are kept. Spherical k-means, the same for the same texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from model.features import inverse_frequencies, word_counts, words, words_weighted

MIN_TEXTS = 50  # fewer are no clusters, they are items
MAX_TOPICS = 24
TEXTS_PER_TOPIC = 25
NAME_WORDS = 3
MAX_SHARE = 0.5  # a word in more than half of all texts sets nothing apart
MAX_WORDS = 20_000
ROUNDS = 25

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TextTopics:
    """`of_text`: (N,) which topic each text belongs to, -1 for one without a known word; `names`: of the topics."""

    of_text: IntArray
    names: tuple[str, ...]


def find_topics(texts: Sequence[str], *, seed: int = 0) -> TextTopics | None:
    """The topics of texts; None if there are too few texts."""
    vectors, vocabulary = _vectors(texts)
    described = np.flatnonzero(np.diff(vectors.indptr))
    num_topics = min(MAX_TOPICS, len(described) // TEXTS_PER_TOPIC)
    if len(described) < MIN_TEXTS or num_topics < 2:
        return None
    rows = vectors[described]
    labels = _clustered(rows, num_topics, np.random.default_rng(seed))
    labels = np.unique(labels, return_inverse=True)[1]
    of_text = np.full(len(texts), -1, np.int64)
    of_text[described] = labels
    return TextTopics(of_text, _names(rows, labels, vocabulary))


def nearest_topics(known: Sequence[str], topics: Sequence[int], texts: Sequence[str]) -> list[int | None]:
    """For each of `texts` the topic whose known texts it is most like; None where no word is shared with any."""
    vectors, _ = _vectors([*known, *texts])
    labels, inside = np.unique(np.array(topics, np.int64), return_inverse=True)
    likeness = np.asarray(vectors[len(known) :] @ _centres(vectors[: len(known)], inside, len(labels)).T)
    best = likeness.argmax(axis=1)
    return [
        int(labels[column]) if row[column] > 0 else None for column, row in zip(best.tolist(), likeness, strict=True)
    ]


def _vectors(texts: Sequence[str]) -> tuple[csr_matrix, list[str]]:
    """(N, V) TF-IDF rows of length 1 over the words that several texts share, and these words."""
    documents = Counter(word for text in texts for word in set(_topic_words(text)))
    most = MAX_SHARE * len(texts)
    kept = [word for word, num in documents.items() if 2 <= num <= most]
    kept = sorted(sorted(kept), key=lambda word: -documents[word])[:MAX_WORDS]
    vocabulary = {word: column for column, word in enumerate(kept)}
    idf = inverse_frequencies([documents[word] for word in kept], len(texts))
    return words_weighted(word_counts(texts, vocabulary), idf), kept


def _topic_words(text: str) -> list[str]:
    """Words that may name something: numbers, short words and stop words do not."""
    stop_words = _stop_words()
    return [word for word in words(text) if len(word) > 2 and not word.isdecimal() and word not in stop_words]


@cache
def _stop_words() -> frozenset[str]:
    """English words that name nothing, such as "and" and "with"."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(ENGLISH_STOP_WORDS)


def _clustered(vectors: csr_matrix, num_topics: int, rng: np.random.Generator) -> IntArray:
    """Each row's cluster: first centres far apart, then as long as any row changes its own."""
    centres = _first_centres(vectors, num_topics, rng)
    labels = np.full(vectors.shape[0], -1)
    for _ in range(ROUNDS):
        nearest = np.asarray(vectors @ centres.T).argmax(axis=1)
        if (nearest == labels).all():
            break
        labels = nearest
        moved = _centres(vectors, labels, num_topics)
        centres = np.where(moved.any(axis=1, keepdims=True), moved, centres)
    return labels.astype(np.int64)


def _first_centres(vectors: csr_matrix, num_topics: int, rng: np.random.Generator) -> FloatArray:
    """k-means++: each next one the likelier, the less it is like those before."""
    chosen = [int(rng.integers(vectors.shape[0]))]
    nearest = np.zeros(vectors.shape[0])
    for _ in range(num_topics - 1):
        likeness = np.asarray((vectors @ vectors[chosen[-1]].T).todense())[:, 0]
        nearest = np.maximum(nearest, likeness)
        far = np.maximum(1 - nearest, 0) ** 2
        chosen.append(int(rng.choice(len(far), p=far / far.sum())) if far.sum() else chosen[0])
    return np.asarray(vectors[chosen].todense())


def _centres(vectors: csr_matrix, labels: IntArray, num_topics: int) -> FloatArray:
    """(K, V) the direction of each cluster."""
    inside = csr_matrix((np.ones(len(labels)), (labels, np.arange(len(labels)))), shape=(num_topics, len(labels)))
    sums = np.asarray((inside @ vectors).todense())
    directions: FloatArray = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    return directions


def _names(vectors: csr_matrix, labels: IntArray, vocabulary: Sequence[str]) -> tuple[str, ...]:
    """For each cluster the words that weigh more in it than elsewhere, the strongest first; all names differ."""
    num_topics = int(labels.max()) + 1
    inside = csr_matrix((np.ones(len(labels)), (labels, np.arange(len(labels)))), shape=(num_topics, len(labels)))
    sizes = np.bincount(labels, minlength=num_topics)[:, None]
    means = np.asarray((inside @ vectors).todense()) / sizes
    rest = (np.asarray(vectors.sum(axis=0)) - means * sizes) / np.maximum(len(labels) - sizes, 1)
    names: list[str] = []
    for gains in means - rest:
        words = [vocabulary[column] for column in np.argsort(-gains, kind="stable")[: NAME_WORDS + 2]]
        lengths = range(NAME_WORDS, len(words) + 1)
        candidates = (", ".join(words[:length]) for length in lengths)
        names.append(next((name for name in candidates if name not in names), f"{', '.join(words)} ({len(names) + 1})"))
    return tuple(names)
