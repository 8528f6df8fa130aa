"""Classical descriptors of pictures: colours, edges and layout, without any trained weight. Numpy alone.

Three groups, weighted so that each has about the same spread over a catalogue of film posters:

    colours  histograms in OKLab (equal distances look equally different), of the whole picture and of its quarters
    edges    histograms of oriented gradients (Dalal & Triggs 2005) in 4 x 4 cells
    layout   the low frequencies of each colour plane's cosine transform, as in MPEG-7's colour layout

Shapes: B pictures, S side in pixels, K bins.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.arrays import FloatArray
from model.content.pictures import Pixels

SIDE = 64
LIGHTNESS_EDGES = (0.2, 0.4, 0.6, 0.8)
HUE_EDGES = (-0.08, -0.02, 0.02, 0.08)  # grey lies between the inner two
NUM_BINS = (len(LIGHTNESS_EDGES) + 1) * (len(HUE_EDGES) + 1) ** 2
CELLS = 4
ORIENTATIONS = 9
FREQUENCIES = (8, 5, 5)  # of lightness and of the two hues, in each direction
EDGE_WEIGHT, LAYOUT_WEIGHT = 3.3, 4.8  # over posters the groups' variances are 1.11, 0.104 and 0.048
SIZE = 5 * NUM_BINS + CELLS**2 * ORIENTATIONS + sum(f * f for f in FREQUENCIES)

Planes = NDArray[np.float32]  # (B, S, S, 3) lightness in 0..1 and two hues around 0

# Ottosson's OKLab (2020): linear sRGB to cone responses, and their cube roots to lightness and hues.
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    np.float32,
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    np.float32,
)


def _linear_levels() -> NDArray[np.float32]:
    """(256,) the light behind each sRGB byte."""
    levels = np.arange(256) / 255
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4).astype(np.float32)


def oklab(pixels: Pixels) -> Planes:
    """(..., 3) bytes of sRGB as lightness, green-to-red and blue-to-yellow."""
    cones = _linear_levels()[pixels] @ _TO_CONES.T
    planes: Planes = np.cbrt(cones) @ _TO_LAB.T
    return planes


def describe(pictures: Sequence[Pixels]) -> FloatArray:
    """(B, SIZE) descriptors of pictures of SIDE x SIDE pixels."""
    planes = oklab(np.stack(pictures))
    groups = (colours(planes), EDGE_WEIGHT * edges(planes[..., 0]), LAYOUT_WEIGHT * layout(planes))
    return np.concatenate(groups, axis=1).astype(np.float32)


def colours(planes: Planes) -> FloatArray:
    """(B, 5K) roots of the shares of colours (Hellinger), of the whole and, together as heavy, of its quarters."""
    bins = np.digitize(planes[..., 0], LIGHTNESS_EDGES)
    for hue in (1, 2):
        bins = bins * (len(HUE_EDGES) + 1) + np.digitize(planes[..., hue], HUE_EDGES)
    half = bins.shape[1] // 2
    quarters = [bins[:, y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    roots: FloatArray = np.sqrt(np.concatenate([_shares(bins), *(_shares(part) / 4 for part in quarters)], axis=1))
    return roots


def _shares(bins: NDArray[np.int64]) -> FloatArray:
    """(B, K) how much of each picture lies in each bin."""
    flat = bins.reshape(len(bins), -1)
    numbered = (flat + NUM_BINS * np.arange(len(flat))[:, None]).ravel()
    counts = np.bincount(numbered, minlength=NUM_BINS * len(flat)).reshape(len(flat), NUM_BINS)
    return (counts / flat.shape[1]).astype(np.float32)


def edges(lightness: FloatArray) -> FloatArray:
    """(B, cells * orientations) roots of the shares of each cell and direction in all edges; 0 without any edge."""
    dy, dx = np.gradient(lightness, axis=(1, 2))
    strength = np.hypot(dx, dy)
    angle = np.mod(np.arctan2(dy, dx), np.pi) / np.pi * ORIENTATIONS  # a dark-to-light edge is as good as the reverse
    histograms = []
    for orientation in range(ORIENTATIONS):
        away = np.abs(angle - orientation)
        near = np.maximum(0, 1 - np.minimum(away, ORIENTATIONS - away))  # shared between the two nearest bins
        histograms.append(_per_cell(strength * near))
    histogram = np.stack(histograms, axis=-1).reshape(len(lightness), -1)
    roots: FloatArray = np.sqrt(histogram / np.maximum(histogram.sum(axis=1, keepdims=True), 1e-6))
    return roots


def _per_cell(values: FloatArray) -> FloatArray:
    """(B, cells, cells) sums."""
    side = values.shape[1] // CELLS
    sums: FloatArray = values.reshape(len(values), CELLS, side, CELLS, side).sum(axis=(2, 4))
    return sums


def layout(planes: Planes) -> FloatArray:
    """(B, sum of squared FREQUENCIES) low frequencies of each plane, the first of each its mean."""
    side = planes.shape[1]
    parts = []
    for plane, num_frequencies in enumerate(FREQUENCIES):
        basis = np.cos(np.pi / side * (np.arange(side) + 0.5) * np.arange(num_frequencies)[:, None]).astype(np.float32)
        coefficients = basis @ planes[..., plane] @ basis.T / side**2
        parts.append(coefficients.reshape(len(planes), -1))
    return np.concatenate(parts, axis=1)
