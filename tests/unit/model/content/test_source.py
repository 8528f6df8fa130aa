"""Collected vectors as a modality: reduced by what the checkpoint holds, frozen, and open to new and changed items."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from core.arrays import FloatArray
from core.catalogue.items import Catalogue
from core.errors import InvalidInput
from model.content.collect import collect
from model.content.collection import Collection
from model.content.imported import ImportedVectors, read_vectors
from model.content.source import CollectedFeatures
from model.features import restore_source


def catalogue_of(*item_ids: str) -> Catalogue:
    count = len(item_ids)
    return Catalogue(np.arange(count), item_ids, ("",) * count, ((),) * count, np.ones(count, np.bool_))


def kept(folder: Path, vectors: Mapping[str, FloatArray], *, replace: bool = False) -> Collection:
    """A collection of given vectors."""
    imported = ImportedVectors(vectors, len(next(iter(vectors.values()))))
    collect(folder, imported, list(vectors), imported.read, progress=lambda done, total: None, replace=replace)
    return Collection.open(folder)


def random_vectors(count: int, size: int = 6) -> dict[str, FloatArray]:
    rng = np.random.default_rng(0)
    strength = np.geomspace(5, 0.1, size)
    return {f"i{n}": (3 + strength * rng.standard_normal(size)).astype(np.float32) for n in range(count)}


def features_of(source: CollectedFeatures, *item_ids: str) -> tuple[FloatArray, list[bool]]:
    values, present = source.transform(source.keys(catalogue_of(*item_ids)))
    return values, present.tolist()


def test_the_reduction_is_that_of_principal_components(tmp_path: Path) -> None:
    vectors = random_vectors(200)
    source = CollectedFeatures.fit(kept(tmp_path / "c", vectors), catalogue_of(*vectors), name="image", size=3)
    reduced, present = features_of(source, *vectors)
    assert all(present)
    centred = np.stack(list(vectors.values())) - np.stack(list(vectors.values())).mean(axis=0)
    left, strengths, _ = np.linalg.svd(centred, full_matrices=False)  # an independent way to the same axes
    expected = left[:, :3] * strengths[:3]
    correlations = np.abs(np.corrcoef(reduced.T, expected.T)[:3, 3:])
    np.testing.assert_allclose(np.diag(correlations), 1, atol=1e-4)
    assert float((reduced**2).mean()) == pytest.approx(1, rel=1e-3)


def test_an_item_without_a_vector_is_absent(tmp_path: Path) -> None:
    vectors = random_vectors(20)
    source = CollectedFeatures.fit(kept(tmp_path / "c", vectors), catalogue_of(*vectors, "bare"), name="image", size=3)
    values, present = features_of(source, "i3", "bare", "unheard")
    assert present == [True, False, False]
    assert not values[1:].any()


def test_it_survives_its_checkpoint_form_and_serves_without_the_folder(tmp_path: Path) -> None:
    vectors = random_vectors(20)
    source = CollectedFeatures.fit(kept(tmp_path / "c", vectors), catalogue_of(*vectors), name="image", size=3)
    restored = restore_source(source.to_json(), source.to_arrays())
    assert isinstance(restored, CollectedFeatures)
    np.testing.assert_array_equal(features_of(restored, *vectors)[0], features_of(source, *vectors)[0])
    detached = restored.following(tmp_path / "gone")
    np.testing.assert_array_equal(features_of(detached, *vectors)[0], features_of(source, *vectors)[0])


def test_new_and_changed_items_are_reduced_in_the_frozen_way(tmp_path: Path) -> None:
    vectors = random_vectors(20)
    collection = kept(tmp_path / "c", vectors)
    source = CollectedFeatures.fit(collection, catalogue_of(*vectors), name="image", size=3).following(tmp_path / "c")
    before, _ = features_of(source, "i0", "i1")
    kept(tmp_path / "c", {"new": vectors["i0"] + 1, "i1": vectors["i0"]})
    after, present = features_of(source, "i0", "i1", "new")
    assert present == [True, True, True]
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_array_equal(after[1], before[0])  # it has the vector of i0 now
    np.testing.assert_array_equal(after[2], source.reduced((vectors["i0"] + 1)[None])[0])


def test_vectors_of_another_describer_are_not_mixed_in(tmp_path: Path) -> None:
    vectors = random_vectors(20)
    collection = kept(tmp_path / "c", vectors)
    source = CollectedFeatures.fit(collection, catalogue_of(*vectors), name="image", size=3).following(tmp_path / "c")
    before, _ = features_of(source, "i0")
    imported = ImportedVectors({"i0": np.ones(6, np.float32), "new": np.zeros(6, np.float32)}, 6, "another")
    collect(tmp_path / "c", imported, ["i0", "new"], imported.read, progress=lambda done, total: None)
    after, present = features_of(source, "i0", "new")
    assert present == [True, False]
    np.testing.assert_array_equal(after[0], before[0])


def test_vectors_that_are_all_alike_tell_no_items_apart(tmp_path: Path) -> None:
    same = {f"i{n}": np.ones(4, np.float32) for n in range(5)}
    with pytest.raises(InvalidInput, match="image: wanted vectors of at least two different items of the catalogue"):
        CollectedFeatures.fit(kept(tmp_path / "c", same), catalogue_of(*same), name="image", size=2)


def test_vectors_are_read_from_every_kind_of_file(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.save(tmp_path / "a.npy", table)
    (tmp_path / "a.ids").write_text("x\ny\nz\n")
    (tmp_path / "named.txt").write_text("x\ny\nz\n")
    save_file({"vectors": table}, tmp_path / "b.safetensors")
    save_file(dict(zip("xyz", table, strict=True)), tmp_path / "c.safetensors")
    collections = (
        read_vectors(tmp_path / "a.npy"),
        read_vectors(tmp_path / "b.safetensors", tmp_path / "named.txt"),
        read_vectors(tmp_path / "c.safetensors"),
    )
    for vectors in collections:
        np.testing.assert_array_equal(vectors.vectors(["z", "x"]), table[[2, 0]])
        assert vectors.hashes(["x", "w"]) == ["x", None]


@pytest.mark.parametrize(
    ("table", "ids", "reason"),
    [
        (np.zeros((3, 2), np.float32), "x\ny\n", "wanted one vector for each of 2 ids"),
        (np.zeros(3, np.float32), "x\ny\nz\n", "wanted one vector for each of 3 ids"),
        (np.zeros((2, 2), np.int64), "x\ny\n", "wanted vectors of floating-point numbers"),
        (np.zeros((2, 2), np.float32), "x\nx\n", "wanted each id once, got 'x' again"),
    ],
)
def test_a_file_of_vectors_that_cannot_be_used_says_why(
    table: FloatArray, ids: str, reason: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", table)
    (tmp_path / "a.ids").write_text(ids)
    with pytest.raises(InvalidInput, match=reason):
        read_vectors(tmp_path / "a.npy")


@pytest.mark.parametrize("name", ["a.npy", "a.safetensors"])
def test_a_damaged_file_of_vectors_says_so(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(InvalidInput, match="wanted an array of numbers"):
        read_vectors(tmp_path / name)
