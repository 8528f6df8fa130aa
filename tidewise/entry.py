"""The entry point of the `tidewise` command: limits native thread pools before numpy is imported.

Serving processes run requests in parallel, so a pool of BLAS or OpenMP threads in each request only adds contention:
with one thread, answers took a third of the time (docs/decisions). The pools read their size when numpy is first
imported, and OpenMP's is per thread, so a later call has no effect.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from tidewise.process_setup import (
    EXIT_INTERRUPTED,
    forbid_core_dumps,
    limit_native_threads,
    postpone_gc,
    unwind_on_sigterm,
)

SERVING_COMMANDS = ("up", "serve", "worker")


def serves(arguments: Sequence[str]) -> bool:
    """Whether a command line (the program first) starts a process that serves requests or applies events."""
    return next((word for word in arguments[1:] if not word.startswith("-")), "") in SERVING_COMMANDS


def main() -> None:
    """Run the command line. Variables that are set in the environment already stay as they are."""
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # children, also multiprocessing's, import nothing from the folder
    forbid_core_dumps()
    unwind_on_sigterm()
    if serves(sys.argv):
        limit_native_threads()
        postpone_gc()
    try:
        from tidewise.cli import main as run  # imports numpy
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    run()
