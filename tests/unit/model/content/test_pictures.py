"""Pictures of items: which file shows which item, and what happens to files that show nothing."""

from __future__ import annotations

import io
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from core.errors import InvalidInput
from model.content import pictures
from model.content.describers import describer_of
from model.content.pictures import BrokenPicture, Pictures, pixels_of


def encoded(image: Image.Image, format_: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_)
    return stream.getvalue()


RED = encoded(Image.new("RGB", (20, 30), "red"))


def test_a_zip_and_a_folder_with_the_same_files_give_the_same_pictures(tmp_path: Path) -> None:
    files = {"1.png": RED, "more/2.png": RED, "readme.txt": b"", ".hidden.png": RED, "__MACOSX/3.png": RED}
    with ZipFile(tmp_path / "p.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
            (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "p" / name).write_bytes(data)
    for path in (tmp_path / "p.zip", tmp_path / "p"):
        with Pictures.opened(path) as item_pictures:
            assert sorted(item_pictures.files) == ["1", "2"]
            assert item_pictures.ignored == 3
            assert item_pictures.read("2") == RED


def test_characters_illegal_in_file_names_are_percent_encoded(tmp_path: Path) -> None:
    (tmp_path / "a%2Fb.v1.png").write_bytes(RED)
    with Pictures.opened(tmp_path) as item_pictures:
        assert list(item_pictures.files) == ["a/b.v1"]


def test_of_several_pictures_of_one_item_the_first_by_name_counts(tmp_path: Path) -> None:
    for folder in ("b", "a"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.png").write_bytes(folder.encode())
    with Pictures.opened(tmp_path) as item_pictures:
        assert item_pictures.read("1") == b"a"


def test_what_is_neither_a_folder_nor_a_zip_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.zip").write_bytes(b"no zip")
    for path in (tmp_path / "p.zip", tmp_path / "absent"):
        with pytest.raises(InvalidInput, match="wanted a folder or a zip file of pictures"), Pictures.opened(path):
            pass


def test_a_picture_of_excessive_size_is_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PICTURE_BYTES", 10)
    (tmp_path / "1.png").write_bytes(RED)
    with Pictures.opened(tmp_path) as item_pictures, pytest.raises(BrokenPicture, match="wanted at most"):
        item_pictures.read("1")


def test_a_picture_that_would_unpack_to_excessive_size_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 100)
    with pytest.raises(BrokenPicture, match="got 20 x 30"):
        pixels_of(RED, side=4)


@pytest.mark.parametrize("data", [b"", b"not a picture", RED[:40], RED[:-30]], ids=["empty", "text", "header", "cut"])
def test_undecodable_pictures_raise_a_clear_error(data: bytes) -> None:
    with pytest.raises(BrokenPicture, match="no picture that can be decoded"):
        pixels_of(data, side=4)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "CMYK", "I;16", "1"])
def test_every_mode_of_picture_becomes_rgb(mode: str) -> None:
    format_ = "JPEG" if mode == "CMYK" else "PNG"
    pixels = pixels_of(encoded(Image.new(mode, (8, 8)), format_), side=4)
    assert (pixels.shape, pixels.dtype) == ((4, 4, 3), np.uint8)


def test_what_is_transparent_lies_on_white() -> None:
    assert (pixels_of(encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 0))), side=4) == 255).all()


def test_broken_pictures_are_faults_and_their_neighbours_are_described() -> None:
    described = describer_of("classical", kind="pictures").describe([RED, b"no picture", RED])
    assert list(described.faults) == [1]
    np.testing.assert_array_equal(described.vectors[0], described.vectors[2])
    assert described.vectors[0].any()
