"""Sets the clock of a Python process wrong: by the nanoseconds in the file that `SHIFT_VARIABLE` names, if it exists.

Python imports it at the start of every process that has this folder in PYTHONPATH. SQLite's own clock stays right.
"""

import os
import time
from pathlib import Path

SHIFT_VARIABLE = "FAULTS_CLOCK_SHIFT"

if SHIFT_VARIABLE in os.environ:
    _shift, _right_ns = Path(os.environ[SHIFT_VARIABLE]), time.time_ns

    def _wrong_ns() -> int:
        try:
            return _right_ns() + int(_shift.read_bytes())
        except FileNotFoundError:
            return _right_ns()

    time.time_ns = _wrong_ns
    time.time = lambda: _wrong_ns() / 1e9
