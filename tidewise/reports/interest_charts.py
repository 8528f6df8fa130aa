"""Charts of interest over time as SVG text: the mix of categories, and how far each share has moved."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.clock import DAY_MS
from core.interests.comparison import PeriodChange
from core.interests.mix import Mix
from tidewise.evaluation.charts import ALARM, OBSERVED, SignalPanel, draw_signals, svg_figure

FloatArray = NDArray[np.float64]

NUM_BANDS = 9  # categories with a colour of their own; the others share one
NUM_CHANGES = 12
MAX_BLOCKS = 60
OTHERS = "#c8c8c8"


def mix_chart(reference: Mix, now: Mix, onsets_ms: Sequence[int]) -> str:
    """The shares of categories over both periods; a line marks where the period begins, others the onsets of alarms."""
    names = list(dict.fromkeys((*now.categories, *reference.categories)))[:NUM_BANDS]
    with io.StringIO() as text:
        with svg_figure(text, height_in=3.6) as figure:
            axes = figure.subplots()
            for mix in (reference, now):
                days, bands = _bands(mix.at_most(MAX_BLOCKS), names)
                labels = [*names, "others"] if mix is now else []
                axes.stackplot(days, bands, labels=labels, colors=_colours(len(names)), step="post")
            axes.axvline(now.period.since_ms / DAY_MS, color="black", linewidth=1.2)
            for onset_ms in onsets_ms:
                axes.axvline(onset_ms / DAY_MS, color=ALARM, linewidth=1.4)
            axes.xaxis_date()
            axes.yaxis.set_major_formatter("{x:.0%}")
            axes.set_ylim(0, 1)
            axes.margins(x=0)
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, reverse=True)
        return _inline(text.getvalue())


def change_chart(changes: Sequence[PeriodChange]) -> str:
    """The largest moves of shares in points, each with its 95% interval."""
    moved = sorted(changes, key=lambda change: -abs(change.difference))[:NUM_CHANGES][::-1]
    with io.StringIO() as text:
        with svg_figure(text, height_in=0.7 + 0.28 * len(moved)) as figure:
            axes = figure.subplots()
            for row, change in enumerate(moved):
                low, high = change.interval or (change.difference, change.difference)
                colour = OBSERVED if change.is_significant else "#9a9a9a"
                axes.plot([100 * low, 100 * high], [row, row], color=colour, linewidth=2)
                axes.plot([100 * change.difference], [row], "o", color=colour)
            axes.axvline(0, color="black", linewidth=0.8)
            axes.set_ylim(-0.6, len(moved) - 0.4)
            axes.set_yticks(range(len(moved)), [change.name for change in moved])
            axes.set_xlabel("points of share, with the 95% interval; grey: within chance")
            axes.spines[["top", "right"]].set_visible(False)
        return _inline(text.getvalue())


def signal_chart(panels: Sequence[SignalPanel]) -> str:
    """A panel for each signal: observed and expected values, and the onsets of alarms."""
    with io.StringIO() as text:
        draw_signals(text, panels)
        return _inline(text.getvalue())


def _bands(mix: Mix, names: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """(B + 1,) the days at which blocks begin and the last one ends, and (names + 1, B + 1) shares; the last: others.

    Days are counted since 1970, as matplotlib does.
    """
    starts_ms = [block.start_ms for block in mix.blocks]
    events = [mix.blocks[min(number, len(starts_ms) - 1)].events for number in range(len(starts_ms) + 1)]
    shares = np.array([[each.get(name, 0) / sum(each.values()) for each in events] for name in names])
    end_ms = min(starts_ms[-1] + mix.block_ms, mix.period.until_ms)
    return np.array([*starts_ms, end_ms]) / DAY_MS, np.vstack([shares, 1 - shares.sum(axis=0)])


def _colours(num_bands: int) -> list[str]:
    import matplotlib as mpl

    return [*(mpl.colors.to_hex(mpl.colormaps["tab10"](band)) for band in range(num_bands)), OTHERS]


def _inline(svg: str) -> str:
    """The element alone, as it stands in a page of HTML."""
    return svg[svg.index("<svg") :]
