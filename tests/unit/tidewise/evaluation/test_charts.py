"""Charts are SVG that any browser draws, the same for the same data."""

from __future__ import annotations

import sys
from math import nan
from pathlib import Path
from xml.etree import ElementTree

import pytest

from core.errors import InvalidSettings
from tidewise.evaluation.charts import ALARM, SignalPanel, require_matplotlib, write_line_chart, write_signal_chart

PANELS = [
    SignalPanel("popularity", [0.0, 1e9, 2e9], [0.1, 0.2, 0.3], [nan, 0.2, 0.2], [1_500_000_000]),
    SignalPanel("items", [0.0, 1e9], [0.5, 0.4], [0.5, 0.5], []),
]


def texts(path: Path) -> list[str]:
    """The texts of a chart; raises where it is no XML."""
    return [text for element in ElementTree.parse(path).iter() if (text := (element.text or "").strip())]


def test_a_line_chart_names_its_lines_and_labels(tmp_path: Path) -> None:
    path = tmp_path / "chart.svg"
    write_line_chart(path, "a < b", {"x & y": [0.1, 0.2], "z": [0.3, 0.1]}, ["March", "April"])
    assert {"a < b", "x & y", "z", "March", "April"} <= set(texts(path))


def test_a_signal_chart_has_a_panel_for_each_signal_and_marks_alarms(tmp_path: Path) -> None:
    path = tmp_path / "chart.svg"
    write_signal_chart(path, "ml-1m", PANELS)
    assert {"popularity", "items"} <= set(texts(path))
    assert path.read_text().count(f"stroke: {ALARM}") == 1


def test_the_same_data_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_signal_chart(tmp_path / name, "ml-1m", PANELS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_missing_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InvalidSettings, match=r"pip install 'tidewise\[charts\]'"):
        require_matplotlib()
