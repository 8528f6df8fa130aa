"""Python's search for garbage, kept away from what a long-running process has loaded at its start.

A full search walks every object there is; with some hundred thousand of imported modules that stopped a worker for
50 ms, in the middle of a transaction. Knows nothing about what is loaded.
"""

from __future__ import annotations

import gc


def freeze_gc() -> None:
    """Search once more, then never again among what is left: it lives as long as the process."""
    gc.collect()
    gc.freeze()
