"""Checkpoints: what is loaded is what was saved, and damage is named instead of served."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.catalogue.items import Catalogue
from core.errors import CheckpointError
from core.events.history import History
from model import checkpoint
from model.bundle import HM4SRBundle
from model.checkpoint import BUNDLE, MANIFEST, WEIGHTS, load, save, version_of
from model.network.hm4sr import HM4SR


@pytest.fixture
def folder(bundle: HM4SRBundle, tmp_path: Path) -> Path:
    path = tmp_path / "models" / "one"
    save(bundle, path)
    return path


def test_a_loaded_model_answers_with_the_same_bits(
    bundle: HM4SRBundle, shop: Catalogue, folder: Path, make_history: Callable[..., History]
) -> None:
    loaded = load(folder)
    histories = [make_history(1 + seed, seed=seed) for seed in range(10)]
    assert (loaded.version, loaded.config, loaded.item_ids) == (bundle.version, bundle.config, bundle.item_ids)
    np.testing.assert_array_equal(loaded.bind(shop).encode(histories), bundle.bind(shop).encode(histories))
    np.testing.assert_array_equal(loaded.bind(shop).items(np.arange(40)), bundle.bind(shop).items(np.arange(40)))


def test_what_is_written_to_a_mapped_model_no_other_sees(
    bundle: HM4SRBundle,
    shop: Catalogue,
    folder: Path,
    make_history: Callable[..., History],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpoint, "MAPPED_BYTES", 0)
    written, other = load(folder), load(folder)
    with torch.no_grad():
        for parameter in written.model.parameters():
            parameter.zero_()
    shutil.rmtree(folder)  # a loaded model stays
    assert not any(parameter.any() for parameter in written.model.parameters())
    histories = [make_history(1 + seed, seed=seed) for seed in range(10)]
    np.testing.assert_allclose(other.bind(shop).encode(histories), bundle.bind(shop).encode(histories), atol=1e-6)
    np.testing.assert_allclose(other.bind(shop).items(np.arange(40)), bundle.bind(shop).items(np.arange(40)), atol=1e-6)


def test_saving_is_idempotent_and_never_overwrites_another_model(bundle: HM4SRBundle, folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    save(replace(bundle, report={"seconds": 7.0}), folder)
    with pytest.raises(CheckpointError, match="another model lies there; choose a new folder"):
        save(replace(bundle, version="other"), folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize("name", [WEIGHTS, BUNDLE])
def test_one_flipped_bit_is_found_and_the_file_named(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(CheckpointError, match=rf"{name}: damaged: wanted digest"):
        load(folder)


@pytest.mark.parametrize("name", [BUNDLE, MANIFEST])
def test_json_that_is_nested_deeply_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(CheckpointError, match=name):
        load(folder)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from([WEIGHTS, BUNDLE, MANIFEST]),
    place=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
    is_cut=st.booleans(),
)
def test_a_damaged_model_is_refused(folder: Path, name: str, place: float, bit: int, is_cut: bool) -> None:
    path = folder / name
    sound = path.read_bytes()
    damaged = bytearray(sound)
    index = int(place * len(sound))
    damaged[index] ^= 1 << bit
    path.write_bytes(sound[:index] if is_cut else damaged)
    # What the manifest says of a model's origin has no digest of its own.
    is_allowed = name == MANIFEST and is_loaded(folder)
    with nullcontext() if is_allowed else pytest.raises(CheckpointError, match=str(folder)):
        load(folder)
    path.write_bytes(sound)


def is_loaded(folder: Path) -> bool:
    try:
        load(folder)
    except CheckpointError:
        return False
    return True


@pytest.mark.parametrize("name", [WEIGHTS, BUNDLE, MANIFEST])
def test_a_missing_file_is_named_with_what_to_do(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=rf"{name}: cannot be read .* restore the folder"):
        load(folder)


@pytest.mark.parametrize("manifest", [b"", b"{", b"[]", b'{"layout": 1}', b"\xff\xfe"])
def test_a_damaged_manifest_is_named(folder: Path, manifest: bytes) -> None:
    (folder / MANIFEST).write_bytes(manifest)
    with pytest.raises(CheckpointError, match=rf"{MANIFEST}: damaged"):
        load(folder)


def test_a_later_layout_is_refused_in_words(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "layout": 99}))
    with pytest.raises(CheckpointError, match="wanted a model of layout 1, got layout 99"):
        load(folder)


def test_weights_that_do_not_fit_the_configuration_name_the_difference(folder: Path) -> None:
    description = json.loads((folder / BUNDLE).read_bytes())
    description["config"]["inner_width"] = 24
    content = json.dumps(description).encode()
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest["digests"][BUNDLE] = hashlib.blake2b(content, digest_size=16).hexdigest()
    (folder / BUNDLE).write_bytes(content)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=r"size mismatch for towers\.layers\.0\.inner\.weight"):
        load(folder)


def test_a_damaged_model_is_not_taken_for_saved(bundle: HM4SRBundle, folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"")
    with pytest.raises(CheckpointError, match=rf"{WEIGHTS}: damaged"):
        save(bundle, folder)


def test_a_save_that_fails_half_way_leaves_nothing_under_the_final_name(
    bundle: HM4SRBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = os.fsync

    def full_disk(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name == MANIFEST:
            raise OSError(28, "No space left on device")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save(bundle, tmp_path / "models" / "one")
    assert list((tmp_path / "models").iterdir()) == []


def test_the_version_depends_on_content_and_not_on_training_time(
    bundle: HM4SRBundle, make_network: Callable[..., HM4SR]
) -> None:
    narrower = replace(bundle, model=make_network(30, contents=bundle.config.contents, inner_width=24))
    assert version_of(bundle) == version_of(replace(bundle, version="renamed", report={"seconds": 7.0}))
    assert version_of(narrower) != version_of(bundle)
