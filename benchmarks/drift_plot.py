"""Draws the signals of a database: observed and expected values, and where alarms begin.

    python -m benchmarks.drift_plot --data FOLDER --title online-retail --out drift.svg

Reads what is stored (after `tidewise drift --catch-up`); neighbouring points are averaged to what a screen can show.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tidewise.bootstrap import open_system
from tidewise.evaluation.charts import write_signal_chart
from tidewise.reports.signal_panels import panels_of
from tidewise.settings.schema import load_settings


def main() -> None:
    """Draw the signals of one database."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--title", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    overrides = {"data.folder": options.data, "clock.mode": "stream"}
    with open_system(load_settings(overrides=overrides, environment={})) as system, system.store.read() as read:
        panels = panels_of(read.drift.points(since_ms=0), read.drift.alarms(limit=1000))
    write_signal_chart(options.out, options.title, panels)


if __name__ == "__main__":
    main()
