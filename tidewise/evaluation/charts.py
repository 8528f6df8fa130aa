"""Charts as SVG, drawn by matplotlib (the extra `charts`). Independent of models and databases.

The same data give the same bytes. Text stays text, so that a chart can be searched and has no fonts in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from core.clock import DAY_MS
from core.errors import InvalidSettings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN, LINES_HEIGHT_IN, PANEL_HEIGHT_IN = 9.5, 4.5, 1.3
OBSERVED, EXPECTED, ALARM = "#1b6ca8", "#9a9a9a", "#d1495b"


@dataclass(frozen=True, slots=True)
class SignalPanel:
    """One signal over time: observed and expected values, and where alarms begin. Expected is NaN where unknown."""

    name: str
    times_ms: Sequence[float]
    observed: Sequence[float]
    expected: Sequence[float]
    onsets_ms: Sequence[int]


def require_matplotlib() -> None:
    """Raise `InvalidSettings` where matplotlib is not installed: before work whose chart could not be written."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        msg = f"charts need the charts extra ({error.name} is missing); install it: pip install 'tidewise[charts]'"
        raise InvalidSettings(msg) from error


def write_line_chart(path: Path, title: str, lines: Mapping[str, Sequence[float]], labels: Sequence[str]) -> None:
    """A line for each name, its points above the labels of the horizontal axis."""
    with svg_figure(path, height_in=LINES_HEIGHT_IN) as figure:
        axes = figure.subplots()
        axes.set_title(title, loc="left")
        for name, values in lines.items():
            axes.plot(range(len(values)), values, label=name)
        axes.set_xticks(range(len(labels)), labels)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", alpha=0.4)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)


def write_signal_chart(path: Path, title: str, panels: Sequence[SignalPanel]) -> None:
    """A panel for each signal, one below the other, over the same time."""
    draw_signals(path, panels, title=f"{title}: ")


def draw_signals(path: Path | IO[str], panels: Sequence[SignalPanel], *, title: str = "") -> None:
    """The same, with the meaning of the colours after a title."""
    with svg_figure(path, height_in=0.5 + PANEL_HEIGHT_IN * len(panels)) as figure:
        figure.suptitle(f"{title}observed (blue), expected (grey), onsets of alarms (red)")
        column = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, panel in zip(column, panels, strict=True):
            _draw_panel(axes, panel)


def _draw_panel(axes: Axes, panel: SignalPanel) -> None:
    days = np.asarray(panel.times_ms) / DAY_MS  # since 1970, as matplotlib counts dates
    axes.plot(days, panel.expected, color=EXPECTED, linewidth=1.2)
    axes.plot(days, panel.observed, color=OBSERVED, linewidth=1.2)
    for onset_ms in panel.onsets_ms:
        axes.axvline(onset_ms / DAY_MS, color=ALARM, linewidth=1.4)
    axes.xaxis_date()
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylabel(panel.name, rotation=0, ha="right", va="center")


@contextmanager
def svg_figure(path: Path | IO[str], *, height_in: float) -> Iterator[Figure]:
    """A figure to draw in, written to the path or the text buffer at the end."""
    require_matplotlib()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    salt = "tidewise"  # the ids of elements are a hash; without a salt they are random
    dates = "concise"
    with mpl.rc_context(
        {"svg.hashsalt": salt, "svg.fonttype": "none", "font.family": ["sans-serif"], "date.converter": dates}
    ):
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        yield figure
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
