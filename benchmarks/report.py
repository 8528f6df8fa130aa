"""What every measurement reports: figures for people, one JSON line for machines, and the hardware they were got on."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version

import numpy as np


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p99 and the worst of some durations, in milliseconds."""
    values = np.asarray(seconds) * 1000
    return {
        "p50_ms": round(float(np.percentile(values, 50)), 2),
        "p99_ms": round(float(np.percentile(values, 99)), 2),
        "max_ms": round(float(values.max()), 2),
        "num": len(values),
    }


def hardware() -> dict[str, object]:
    """The machine and the versions that matter."""
    names = ("numpy", "torch", "faiss-cpu", "sqlalchemy", "fastapi")
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu_name(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in names},
        "command": " ".join(sys.argv),
    }


def publish(title: str, figures: Mapping[str, object]) -> None:
    """Print a table, then the JSON line."""
    sys.stdout.write(f"{title}\n")
    for name, value in figures.items():
        shown = "  ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else value
        sys.stdout.write(f"  {name:<44} {shown}\n")
    sys.stdout.write(json.dumps({"title": title, "figures": figures, "hardware": hardware()}) + "\n")


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
