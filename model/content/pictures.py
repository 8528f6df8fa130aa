"""Pictures of items in a folder or a zip file, and their bytes as pixels. Independent of vectors.

A picture is named by its item: `movie-1.jpg` shows `movie-1`. Characters that a file name cannot hold stand as %XX.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from core.errors import InvalidInput, plain_reason
from core.events.interactions import check_id

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
MAX_PICTURE_BYTES = 32 * 2**20  # a larger file is a mistake, or an attack
MAX_PIXELS = 100_000_000

Pixels = NDArray[np.uint8]  # (height, width, 3)


class BrokenPicture(ValueError):
    """A picture that cannot be used; says why."""


@dataclass(frozen=True)
class Pictures:
    """The file of each item's picture. `ignored`: how many files were not named as pictures of items.

    Of several pictures of one item the first by name counts.
    """

    files: dict[str, str] = field(repr=False)
    ignored: int
    _read: Callable[[str], bytes] = field(repr=False)

    def read(self, item_id: str) -> bytes:
        """The bytes of an item's picture; raises `BrokenPicture`."""
        return self._read(self.files[item_id])

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[Pictures]:
        """The pictures of a folder (with its subfolders) or of a zip file; raises `InvalidInput` for anything else."""
        if path.is_dir():
            names = sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())
            yield cls(*_files_by_item(names), lambda name: _file(path / name))
            return
        try:
            archive = ZipFile(path)
        except (OSError, BadZipFile) as error:
            msg = f"{path}: wanted a folder or a zip file of pictures, got {plain_reason(error)}; check the path"
            raise InvalidInput(msg) from None
        with archive:
            names = sorted(info.filename for info in archive.infolist() if not info.is_dir())
            yield cls(*_files_by_item(names), lambda name: _member(archive, name))


def _files_by_item(names: list[str]) -> tuple[dict[str, str], int]:
    """Names of files by item id, and how many are none."""
    files: dict[str, str] = {}
    ignored = 0
    for name in names:
        path = PurePosixPath(name)
        hidden = any(part.startswith(".") for part in path.parts) or "__MACOSX" in path.parts
        try:
            item_id = check_id("item_id", unquote(path.stem))
        except InvalidInput:
            hidden = True
        if hidden or path.suffix.lower() not in SUFFIXES:
            ignored += 1
        else:
            files.setdefault(item_id, name)
    return files, ignored


def _checked_size(num_bytes: int) -> None:
    if num_bytes > MAX_PICTURE_BYTES:
        msg = f"wanted at most {MAX_PICTURE_BYTES // 2**20} MiB, got {num_bytes / 2**20:.0f}"
        raise BrokenPicture(msg)


def _file(path: Path) -> bytes:
    try:
        _checked_size(path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        msg = f"cannot be read ({error.strerror})"
        raise BrokenPicture(msg) from None


def _member(archive: ZipFile, name: str) -> bytes:
    try:
        _checked_size(archive.getinfo(name).file_size)
        return archive.read(name)
    except (OSError, BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:  # damaged, locked or exotic
        msg = f"cannot be read ({error})"
        raise BrokenPicture(msg) from None


def opened_image(data: bytes, *, side: int) -> Image.Image:
    """An RGB image, upright, transparency on white, not much larger than `side`; raises `BrokenPicture`."""
    try:
        image: Image.Image = Image.open(io.BytesIO(data))
        if image.width * image.height > MAX_PIXELS:
            msg = f"wanted at most {MAX_PIXELS:,} pixels, got {image.width} x {image.height}"
            raise BrokenPicture(msg)
        image.draft("RGB", (side, side))  # JPEG alone: decodes at the next size above, several times as fast
        image.load()
        image = ImageOps.exif_transpose(image)
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return image.convert("RGB")
    except BrokenPicture:
        raise
    except (OSError, ValueError, SyntaxError, ArithmeticError, Image.DecompressionBombError) as error:
        msg = f"no picture that can be decoded ({str(error) or type(error).__name__})"
        raise BrokenPicture(msg) from None


def pixels_of(data: bytes, *, side: int) -> Pixels:
    """(side, side, 3) the picture at one size, whatever its shape; raises `BrokenPicture`."""
    return np.asarray(opened_image(data, side=2 * side).resize((side, side), Image.Resampling.BOX))
