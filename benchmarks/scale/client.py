"""Requests by wrk, a client that costs little beside the server."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

UNITS_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
SCRIPT = """
local paths = {%s}
local number = 0
request = function()
  number = number %% #paths + 1
  return wrk.format("GET", paths[number])
end
"""


@dataclass(frozen=True)
class WrkReport:
    """What some clients saw. `num_failed`: answers other than 2xx and 3xx, and broken connections."""

    rate: float
    p50_ms: float
    p99_ms: float
    num_failed: int


def run_clients(port: int, paths: Sequence[str], *, clients: int, seconds: int, folder: Path) -> WrkReport:
    """Ask for these paths in turn over kept connections, as fast as answers come."""
    program = shutil.which("wrk")
    if program is None:
        msg = "wrk is not installed: apt-get install wrk"
        raise RuntimeError(msg)
    script = folder / "paths.lua"
    script.write_text(SCRIPT % ",".join(f'"{path}"' for path in paths))
    command = [program, "-t1", f"-c{clients}", f"-d{seconds}s", "--latency", "-s", str(script)]
    done = subprocess.run([*command, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True)
    return parsed(done.stdout)


def parsed(report: str) -> WrkReport:
    """The figures of wrk's report."""
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", report)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", report)
    num_failed = int(refused[1]) if refused else 0
    num_failed += sum(map(int, broken.groups())) if broken else 0
    rate = re.search(r"Requests/sec:\s+([\d.]+)", report)
    assert rate is not None, report
    return WrkReport(float(rate[1]), _percentile_ms(report, 50), _percentile_ms(report, 99), num_failed)


def _percentile_ms(report: str, percent: int) -> float:
    match = re.search(rf"^\s*{percent}%\s+([\d.]+)(us|ms|s|m)", report, re.MULTILINE)
    assert match is not None, report
    return float(match[1]) * UNITS_MS[match[2]]
