"""The way in of the `tidewise` command: sets the number of native threads before anything loads them.

Processes that answer requests run them side by side, so a pool of BLAS or OpenMP threads inside each of them only
makes them wait for each other: with one thread, answers took a third of the time (docs/decisions). The pools read their
size when numpy is first imported, and OpenMP's is per thread, so no later call could do this.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from tidewise.process_setup import limit_native_threads

SERVING_COMMANDS = ("up", "serve", "worker")


def serves(arguments: Sequence[str]) -> bool:
    """Whether a command line (its program first) is of a process that answers or applies events until it is ended."""
    return next((given for given in arguments[1:] if not given.startswith("-")), "") in SERVING_COMMANDS


def main() -> None:
    """Run the command line. Variables that are set in the environment already stay as they are."""
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # children, also multiprocessing's, import nothing from the folder
    if serves(sys.argv):
        limit_native_threads()
        _serve()
    else:
        from tidewise.cli import main as run_any

        run_any()


def _serve() -> None:
    """A killed worker has to be back soon, so it imports nothing of commands that are not asked for."""
    from tidewise.commands import run
    from tidewise.shell import new_app
    from tidewise.shell import run as run_app

    app = new_app()
    run.register(app)
    run_app(app)
