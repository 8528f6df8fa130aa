"""A bundle as a folder: safetensors and JSON, never pickle. Independent of training or serving.

    weights.safetensors   the network's state, and each feature source's arrays under `source.<name>.`
    bundle.json           configuration, item ids, feature sources, weights of the blend
    manifest.json         layout, version, the digest of both files, and how the model was trained

Written aside, flushed to the disk, then renamed: a folder under its final name is whole. Loading checks the digests and
maps large tensors into memory: all processes share their pages, and who writes to a page gets a copy of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file as map_tensors
from safetensors.torch import save as save_tensors

from core.blending.blend import Blend
from core.errors import CheckpointError
from core.ports.file_checks import OWN_CHECKS, FileChecks, WrongChecksum
from model.bundle import HM4SRBundle
from model.features import restore_source
from model.network.config import ModelConfig
from model.network.hm4sr import HM4SR

LAYOUT = 1
WEIGHTS, BUNDLE, MANIFEST = "weights.safetensors", "bundle.json", "manifest.json"
MAPPED_BYTES = 1 << 24  # smaller tensors are copied: products are faster where memory is aligned
DIGEST = partial(hashlib.blake2b, digest_size=16)


def _digest(data: bytes) -> str:
    return DIGEST(data).hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()


def _content(bundle: HM4SRBundle) -> dict[str, bytes]:
    """The two files that make the bundle."""
    tensors = {f"model.{name}": tensor.contiguous() for name, tensor in bundle.model.state_dict().items()}
    for source in bundle.sources:
        arrays = source.to_arrays().items()
        tensors |= {f"source.{source.name}.{name}": torch.from_numpy(array) for name, array in arrays}
    described = {
        "config": bundle.config.to_json(),
        "item_ids": list(bundle.item_ids),
        "sources": [source.to_json() for source in bundle.sources],
        **({"blend": bundle.blend.to_json()} if bundle.blend else {}),
    }
    return {WEIGHTS: save_tensors(tensors), BUNDLE: _json(described)}


def version_of(bundle: HM4SRBundle) -> str:
    """A name made from the content: the same training under the same seed has the same one."""
    content = _content(bundle)
    return f"hm4sr-{_digest(content[WEIGHTS] + content[BUNDLE])[:12]}"


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def save(bundle: HM4SRBundle, path: Path) -> None:
    """Write the bundle to a new folder; saving a model that already lies there changes nothing.

    Raises `CheckpointError` where another model, or a damaged one, lies under that name.
    """
    content = _content(bundle)
    digests = {name: _digest(data) for name, data in content.items()}
    manifest = {"layout": LAYOUT, "version": bundle.version, "digests": digests, "report": dict(bundle.report)}
    if path.exists():
        stored = _manifest(path)
        _verify(path, stored)
        if (stored["version"], stored["digests"]) == (bundle.version, digests):
            return
        msg = f"{path}: another model lies there; choose a new folder, a model is never overwritten"
        raise CheckpointError(msg)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        for name, data in {**content, MANIFEST: _json(manifest)}.items():
            _write(aside / name, data)
        _sync_folder(aside)
        aside.chmod(0o755)  # other roles may run under another user; mkdtemp grants access to the owner only
        aside.rename(path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    _sync_folder(path.parent)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> CheckpointError:
    return CheckpointError(
        f"{path}: cannot be read ({error.strerror or error}); restore the folder from a backup, or train again"
    )


def _manifest(path: Path) -> dict[str, Any]:
    """The manifest of a folder, of a layout that this version reads."""
    try:
        manifest = json.loads(_read(path / MANIFEST))
        layout = manifest["layout"]
        complete = isinstance(manifest["version"], str) and set(manifest["digests"]) == {WEIGHTS, BUNDLE}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        msg = f"{path / MANIFEST}: damaged ({error}); restore the folder from a backup, or train again"
        raise CheckpointError(msg) from error
    if layout != LAYOUT or not complete:
        msg = f"{path}: wanted a model of layout {LAYOUT}, got layout {layout!r}; train again with this version"
        raise CheckpointError(msg)
    return dict(manifest)


def _verify(path: Path, manifest: Mapping[str, Any], checks: FileChecks = OWN_CHECKS) -> None:
    """Check the digests of both files."""
    try:
        checks.check({path / name: digest for name, digest in manifest["digests"].items()}, _file_digest)
    except WrongChecksum as error:
        msg = (
            f"{error.path}: damaged: wanted digest {error.wanted}, got {error.got}; "
            "restore it from a backup, or train again"
        )
        raise CheckpointError(msg) from error
    except OSError as error:
        raise _unreadable(Path(error.filename or path), error) from error


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, DIGEST).hexdigest()


def load(path: Path, checks: FileChecks = OWN_CHECKS) -> HM4SRBundle:
    """The bundle in a folder; raises `CheckpointError` saying what is missing, damaged or different."""
    manifest = _manifest(path)
    _verify(path, manifest, checks)
    try:
        tensors = {name: _aligned(tensor) for name, tensor in map_tensors(path / WEIGHTS).items()}
        return _assemble(json.loads(_read(path / BUNDLE)), tensors, manifest)
    except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        msg = f"{path}: does not fit this version of Tidewise ({error}); train again with this version"
        raise CheckpointError(msg) from error


def _assemble(raw: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], manifest: Mapping[str, Any]) -> HM4SRBundle:
    config = ModelConfig.from_json(raw["config"])
    model = HM4SR(config, num_items=len(raw["item_ids"]))
    model.load_state_dict(_under(tensors, "model."), assign=True)
    sources = []
    for described in raw["sources"]:
        arrays = _under(tensors, f"source.{described['name']}.")
        sources.append(restore_source(described, {name: array.numpy() for name, array in arrays.items()}))
    blend = Blend.from_json(raw["blend"]) if "blend" in raw else None
    report = manifest.get("report", {})
    return HM4SRBundle(model, tuple(raw["item_ids"]), tuple(sources), manifest["version"], report, blend)


def _aligned(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.nbytes >= MAPPED_BYTES else tensor.clone()


def _under(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
