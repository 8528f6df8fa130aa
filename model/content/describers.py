"""Describers of pictures and texts, by name. Independent of items, folders of vectors or models of ours.

    classical                       pictures, without trained weights: colours, edges, layout
    timm:FOLDER                     pictures, a network of timm (extra `images`)
    open-clip:FOLDER                pictures, a network of open_clip (extra `images`)
    sentence-transformers:FOLDER    texts (extra `text`)

A FOLDER is a model's own, as the library saves it: configuration and weights in safetensors. Nothing is fetched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from core.arrays import FloatArray
from core.errors import InvalidInput
from model.content import descriptors
from model.content.collect import Described, Describer
from model.content.pictures import BrokenPicture, opened_image, pixels_of

Kind = Literal["pictures", "texts"]
CLASSICAL = "classical"
BATCH = 64
NETWORK_SIDE = 512  # in pixels; networks read less
PICKLED = (".bin", ".pt", ".pth", ".ckpt")
MAX_CHARS = 4_000  # of a text: what sentence models read is far shorter


@dataclass(frozen=True, slots=True)
class ClassicalPictures:
    """Colours, edges and layout."""

    fingerprint: str = "classical-1"  # raise the number with every change of the arithmetic
    size: int = descriptors.SIZE
    batch_size: int = BATCH

    def describe(self, contents: Sequence[bytes]) -> Described:
        """Descriptors of encoded pictures."""
        return _decoded(contents, lambda data: pixels_of(data, side=descriptors.SIDE), descriptors.describe, self.size)


@dataclass(frozen=True, slots=True)
class PictureNetwork:
    """A trained network over pictures."""

    fingerprint: str
    size: int
    prepare: Callable[[Any], torch.Tensor]  # a PIL image becomes an input
    network: Callable[[torch.Tensor], torch.Tensor]
    batch_size: int = BATCH

    def describe(self, contents: Sequence[bytes]) -> Described:
        """What the network says of encoded pictures."""
        return _decoded(
            contents, lambda data: self.prepare(opened_image(data, side=NETWORK_SIDE)), self._run, self.size
        )

    def _run(self, inputs: Sequence[torch.Tensor]) -> FloatArray:
        with torch.inference_mode():
            return self.network(torch.stack(list(inputs))).float().numpy()


@dataclass(frozen=True, slots=True)
class SentenceModel:
    """A sentence-transformers model."""

    fingerprint: str
    size: int
    model: Any
    batch_size: int = 256

    def describe(self, contents: Sequence[bytes]) -> Described:
        """Embeddings of texts."""
        texts = [content.decode()[:MAX_CHARS] for content in contents]
        embeddings = self.model.encode(texts, batch_size=BATCH, show_progress_bar=False, convert_to_numpy=True)
        return Described(np.asarray(embeddings, np.float32))


def _decoded(
    contents: Sequence[bytes], decode: Callable[[bytes], Any], run: Callable[[Sequence[Any]], FloatArray], size: int
) -> Described:
    """Runs over what can be decoded; the rest are faults."""
    faults: dict[int, str] = {}
    whole: dict[int, Any] = {}
    for row, content in enumerate(contents):
        try:
            whole[row] = decode(content)
        except BrokenPicture as error:
            faults[row] = str(error)
    vectors = np.zeros((len(contents), size), np.float32)
    if whole:
        vectors[list(whole)] = run(list(whole.values()))
    return Described(vectors, faults)


def describer_of(name: str, *, kind: Kind) -> Describer:
    """The describer of that name; raises `InvalidInput` for one that there isn't or that cannot be loaded."""
    if name == CLASSICAL and kind == "pictures":
        return ClassicalPictures()
    family, _, folder = name.partition(":")
    if family not in LOADERS or not folder or LOADERS[family][0] != kind:
        known = [f"{family}:FOLDER" for family, (described, _) in LOADERS.items() if described == kind]
        known += [CLASSICAL] if kind == "pictures" else []
        msg = f"--encoder: wanted {' or '.join(known)} for {kind}, got {name!r}"
        raise InvalidInput(msg)
    path = Path(folder)
    fingerprint = f"{family}:{_digest(path)}"
    try:
        return LOADERS[family][1](path, fingerprint)
    except ModuleNotFoundError as error:
        extra = "images" if kind == "pictures" else "text"
        msg = f"--encoder {family}: {error.name} is not installed; install it with `pip install 'tidewise[{extra}]'`"
        raise InvalidInput(msg) from None
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        msg = f"{path}: wanted a model as {family} saves it, got {type(error).__name__}: {error}"
        raise InvalidInput(msg) from error


def _digest(folder: Path) -> str:
    """A hash of everything in a model's folder; raises `InvalidInput` where there is nothing, or pickled weights."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    if not paths:
        msg = f"{folder}: wanted the folder of a model, got none; give a local one, nothing is fetched"
        raise InvalidInput(msg)
    pickled = [path.name for path in paths if path.suffix in PICKLED]
    if pickled:
        msg = f"{folder}: {pickled[0]} is a pickle, which may run anything; convert the weights to safetensors"
        raise InvalidInput(msg)
    digest = hashlib.blake2b(digest_size=8)
    for path in paths:
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()


def _load_timm(folder: Path, fingerprint: str) -> PictureNetwork:
    timm: Any = import_module("timm")
    data: Any = import_module("timm.data")
    network = timm.create_model(f"local-dir:{folder.resolve()}", pretrained=True, num_classes=0).eval()
    prepare = data.create_transform(**data.resolve_data_config({}, model=network), is_training=False)
    return PictureNetwork(fingerprint, int(network.num_features), prepare, network)


def _load_open_clip(folder: Path, fingerprint: str) -> PictureNetwork:
    open_clip: Any = import_module("open_clip")
    network, prepare = open_clip.create_model_from_pretrained(f"local-dir:{folder.resolve()}")
    with torch.inference_mode():
        side = network.visual.image_size
        side = side if isinstance(side, tuple) else (side, side)
        size = network.eval().encode_image(torch.zeros(1, 3, *side)).shape[1]
    return PictureNetwork(fingerprint, int(size), prepare, network.encode_image)


def _load_sentences(folder: Path, fingerprint: str) -> SentenceModel:
    library: Any = import_module("sentence_transformers")
    model = library.SentenceTransformer(str(folder.resolve()), device="cpu", local_files_only=True)
    return SentenceModel(fingerprint, int(model.get_embedding_dimension()), model)


LOADERS: dict[str, tuple[Kind, Callable[[Path, str], Describer]]] = {
    "timm": ("pictures", _load_timm),
    "open-clip": ("pictures", _load_open_clip),
    "sentence-transformers": ("texts", _load_sentences),
}
