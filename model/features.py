"""Item features: what each content modality says about items, frozen with the model. Independent of the network.

A source turns a catalogue into rows of numbers and a mark where it has nothing to say. Sources are fitted once, at a
full training, and travel in the checkpoint as plain arrays and JSON. Text is TF-IDF and a truncated SVD of it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from core.arrays import BoolArray, FloatArray
from core.catalogue.items import Catalogue
from core.errors import InvalidInput
from model.content.source import CollectedFeatures

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

WORD = re.compile(r"\w+")
MAX_VOCABULARY = 30_000
MAX_SVD_TEXTS = 30_000  # beyond it the components hardly move, and the fit takes many seconds


class FeatureSource(Protocol):
    """One fitted content modality."""

    @property
    def name(self) -> str:
        """Names the modality in configurations."""
        ...

    @property
    def size(self) -> int:
        """How many numbers describe an item."""
        ...

    def keys(self, catalogue: Catalogue) -> Sequence[str]:
        """For each item what its features are computed from: equal keys have equal features."""
        ...

    def transform(self, keys: Sequence[str]) -> tuple[FloatArray, BoolArray]:
        """(N, size) features, and (N,) whether there are any; the same for a key whatever stands beside it."""
        ...

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Its arrays, for the checkpoint."""
        ...

    def to_json(self) -> dict[str, Any]:
        """The rest of it, for the checkpoint."""
        ...


def words(text: str) -> list[str]:
    """The words of a text, as the vocabulary counts them: lower case, letters and digits."""
    return WORD.findall(text.lower())


def described(catalogue: Catalogue) -> list[str]:
    """Each item's text with its categories, one category after the other.

    A category that is a bare number says nothing as a word, and would be taken for a number in the text: it becomes a
    word of its own.
    """
    rows = zip(catalogue.texts, catalogue.categories, strict=True)
    return [" ".join((text, *map(_category_word, names))).strip() for text, names in rows]


def _category_word(name: str) -> str:
    return f"category_{name}" if name.isdecimal() else name


def _sample(texts: Sequence[str], seed: int) -> Sequence[str]:
    """At most `MAX_SVD_TEXTS` of the texts."""
    if len(texts) <= MAX_SVD_TEXTS:
        return texts
    rows = np.random.default_rng(seed).choice(len(texts), MAX_SVD_TEXTS, replace=False)
    return [texts[row] for row in np.sort(rows)]


def word_counts(texts: Sequence[str], vocabulary: Mapping[str, int]) -> csr_matrix:
    """(N, V) counts of known words."""
    from scipy.sparse import csr_matrix  # 0.2 s of CPU, which a server does without until an item is new

    counts = [Counter(vocabulary[word] for word in words(text) if word in vocabulary) for text in texts]
    columns = np.fromiter((column for row in counts for column in sorted(row)), np.int32)
    values = np.fromiter((row[column] for row in counts for column in sorted(row)), np.float64)
    ends = np.cumsum([0, *(len(row) for row in counts)])
    return csr_matrix((values, columns, ends), shape=(len(texts), len(vocabulary)))


def words_weighted(counts: csr_matrix, idf: NDArray[np.float64]) -> csr_matrix:
    """TF-IDF with a logarithmic term frequency, rows of length 1 (rows without a known word stay 0)."""
    weighted = counts.copy()
    weighted.data = (1 + np.log(counts.data)) * idf[counts.indices]
    squares = np.add.reduceat(np.append(weighted.data**2, 0.0), counts.indptr[:-1]) * (np.diff(counts.indptr) > 0)
    lengths = np.sqrt(np.where(squares > 0, squares, 1.0))
    weighted.data /= np.repeat(lengths, np.diff(counts.indptr))
    return weighted


def inverse_frequencies(num_with: Sequence[int], num_texts: int) -> NDArray[np.float64]:
    """How much a word says, by how many of the texts have it."""
    return 1 + np.log((1 + num_texts) / (1 + np.array(num_with, np.float64)))


@dataclass(frozen=True)
class TextFeatures:
    """TF-IDF over a frozen vocabulary, then its truncated SVD, scaled so that a typical number is about 1."""

    vocabulary: Mapping[str, int]
    idf: NDArray[np.float64]
    components: NDArray[np.float64]  # (V, size)
    name: str = "text"

    kind = "tfidf-svd"

    @classmethod
    def fit(cls, catalogue: Catalogue, *, size: int, seed: int) -> TextFeatures | None:
        """Fitted to the texts of a catalogue; None where too few items have words to tell them apart."""
        from sklearn.decomposition import TruncatedSVD  # more than a second, which no process that serves has to spend

        texts = described(catalogue)
        documents = Counter(word for text in texts for word in set(words(text)))
        frequent = sorted(documents, key=lambda word: (-documents[word], word))[:MAX_VOCABULARY]
        frequent = [word for word in frequent if documents[word] >= 2]
        size = min(size, len(frequent) - 1, len(texts) - 1)
        if size < 1:
            return None
        vocabulary = {word: column for column, word in enumerate(frequent)}
        idf = inverse_frequencies([documents[word] for word in frequent], len(texts))
        svd = TruncatedSVD(size, algorithm="randomized", n_iter=4, random_state=seed)
        with threadpool_limits(1):  # the same bits on any number of cores, and 7 times as fast where cores are busy
            svd.fit(words_weighted(word_counts(_sample(texts, seed), vocabulary), idf))
        return cls(vocabulary, idf, np.ascontiguousarray(svd.components_.T))

    @property
    def size(self) -> int:
        """The rank of the SVD."""
        return int(self.components.shape[1])

    def keys(self, catalogue: Catalogue) -> list[str]:
        """The text itself."""
        return described(catalogue)

    def transform(self, keys: Sequence[str]) -> tuple[FloatArray, BoolArray]:
        """Features of texts, rows of length sqrt(size); a text without a known word has none."""
        counts = word_counts(keys, self.vocabulary)
        projected = np.asarray(words_weighted(counts, self.idf) @ self.components)
        lengths = np.linalg.norm(projected, axis=1, keepdims=True)
        present = lengths[:, 0] > 1e-9
        scaled = projected * (np.sqrt(self.size) / np.maximum(lengths, 1e-9))
        return np.where(present[:, None], scaled, 0.0).astype(np.float32), present

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Inverse document frequencies and SVD components."""
        return {"idf": self.idf, "components": self.components}

    def to_json(self) -> dict[str, Any]:
        """Kind, name and vocabulary."""
        return {"kind": self.kind, "name": self.name, "vocabulary": list(self.vocabulary)}

    @classmethod
    def restore(cls, raw: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> TextFeatures:
        """The source back from its JSON and arrays."""
        vocabulary = {word: column for column, word in enumerate(raw["vocabulary"])}
        return cls(vocabulary, arrays["idf"], arrays["components"], str(raw["name"]))


@dataclass(frozen=True)
class VectorFeatures:
    """Vectors computed elsewhere, one per item id: images, sentence encoders, anything. An item not named has none."""

    name: str
    item_ids: tuple[str, ...]
    vectors: FloatArray  # (N, size)

    kind = "vectors"

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.item_ids) or not np.isfinite(self.vectors).all():
            msg = (
                f"{self.name}: wanted one finite vector for each of {len(self.item_ids)} items, "
                f"got an array of shape {self.vectors.shape}; check the file that it was read from"
            )
            raise InvalidInput(msg)

    @property
    def size(self) -> int:
        """The length of the vectors."""
        return int(self.vectors.shape[1])

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {item_id: row for row, item_id in enumerate(self.item_ids)}

    def keys(self, catalogue: Catalogue) -> Sequence[str]:
        """The item ids."""
        return catalogue.item_ids

    def transform(self, keys: Sequence[str]) -> tuple[FloatArray, BoolArray]:
        """The vectors of items by id."""
        rows = np.fromiter((self._rows.get(key, -1) for key in keys), np.int64, len(keys))
        present = rows >= 0
        return np.where(present[:, None], self.vectors[rows], np.float32(0)).astype(np.float32), present

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The vectors."""
        return {"vectors": self.vectors}

    def to_json(self) -> dict[str, Any]:
        """Kind, name and item ids."""
        return {"kind": self.kind, "name": self.name, "item_ids": list(self.item_ids)}

    @classmethod
    def restore(cls, raw: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> VectorFeatures:
        """The source back from its JSON and arrays."""
        return cls(str(raw["name"]), tuple(raw["item_ids"]), arrays["vectors"])


SOURCES: Mapping[str, type[TextFeatures] | type[VectorFeatures] | type[CollectedFeatures]] = {
    TextFeatures.kind: TextFeatures,
    VectorFeatures.kind: VectorFeatures,
    CollectedFeatures.kind: CollectedFeatures,
}


def digest_of(sources: Sequence[FeatureSource]) -> str:
    """A hash of all that fitted sources say."""
    digest = hashlib.blake2b(digest_size=8)
    for source in sources:
        digest.update(source.name.encode())
        for name, array in sorted(source.to_arrays().items()):
            digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def restore_source(raw: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> FeatureSource:
    """A source of any kind back from its checkpoint."""
    return SOURCES[raw["kind"]].restore(raw, arrays)
