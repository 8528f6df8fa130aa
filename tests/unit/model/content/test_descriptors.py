"""Classical descriptors: plain arithmetic over pixels, with answers known from the pictures themselves."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from model.content import descriptors
from model.content.descriptors import CELLS, NUM_BINS, ORIENTATIONS, SIDE, SIZE

Picture = NDArray[np.uint8]


def plain(red: int, green: int, blue: int) -> Picture:
    return np.full((SIDE, SIDE, 3), (red, green, blue), np.uint8)


def stripes(*, upright: bool) -> Picture:
    """Black and white stripes of eight pixels."""
    line = np.repeat(np.arange(SIDE // 8) % 2 * 255, 8).astype(np.uint8)
    picture = np.broadcast_to(line if upright else line[:, None], (SIDE, SIDE))
    return np.ascontiguousarray(np.repeat(picture[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("colour", "expected"),
    [  # from the definition of OKLab by its author
        ((255, 255, 255), (1.0, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
        ((255, 0, 0), (0.627955, 0.224863, 0.125846)),
        ((0, 255, 0), (0.866440, -0.233888, 0.179498)),
        ((0, 0, 255), (0.452014, -0.032457, -0.311528)),
    ],
)
def test_colours_are_those_of_oklab(colour: tuple[int, int, int], expected: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(descriptors.oklab(plain(*colour))[0, 0], expected, atol=1e-4)


def test_a_picture_of_one_colour_has_one_bin_of_colour_and_no_edge() -> None:
    planes = descriptors.oklab(plain(200, 30, 30)[None])
    histogram = descriptors.colours(planes)[0, :NUM_BINS]
    assert np.count_nonzero(histogram) == 1
    assert histogram.max() == 1
    assert not descriptors.edges(planes[..., 0]).any()


def test_each_quarter_has_colours_of_its_own() -> None:
    picture = plain(0, 0, 0)
    picture[: SIDE // 2, : SIDE // 2] = 255
    histogram, *quarters = descriptors.colours(descriptors.oklab(picture[None])).reshape(5, NUM_BINS)
    assert sorted(histogram[histogram > 0] ** 2) == pytest.approx([0.25, 0.75])
    assert [np.flatnonzero(part).tolist() for part in quarters[1:]] == [np.flatnonzero(quarters[1]).tolist()] * 3
    assert np.flatnonzero(quarters[0]).tolist() != np.flatnonzero(quarters[1]).tolist()


def test_vertical_and_horizontal_stripes_differ_in_edge_direction() -> None:
    lightness = descriptors.oklab(np.stack([stripes(upright=True), stripes(upright=False)]))[..., 0]
    upright, level = descriptors.edges(lightness).reshape(2, CELLS**2, ORIENTATIONS)
    assert (upright.argmax(axis=1) == 0).all()  # dark to light from left to right
    assert set(level.argmax(axis=1)) <= {ORIENTATIONS // 2, ORIENTATIONS // 2 + 1}  # a right angle to it


def test_the_first_frequency_of_each_plane_is_its_mean() -> None:
    planes = descriptors.oklab(np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3)).astype(np.uint8))
    frequencies = descriptors.layout(planes)
    starts = np.cumsum([0, *(f * f for f in descriptors.FREQUENCIES)])[:-1]
    np.testing.assert_allclose(frequencies[:, starts], planes.mean(axis=(1, 2)), atol=1e-5)


def test_a_descriptor_depends_on_nothing_but_its_picture() -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (5, SIDE, SIDE, 3)).astype(np.uint8)
    batch = descriptors.describe(list(pictures))
    assert batch.shape == (5, SIZE)
    assert batch.dtype == np.float32
    separate = np.concatenate([descriptors.describe([picture]) for picture in pictures])
    np.testing.assert_allclose(batch, separate, atol=1e-6)
