"""A fork server that has collected the tests: a process of pytest-xdist needs 1.5 s of CPU to begin, not 12 to 24 s.

Run by `forked_interpreter.py` as `python -P collected_tests.py NAME`. `core` is imported as its coverage wants it, then
all modules of tests.
"""

from __future__ import annotations

import gc
import os
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path

import pytest
from services.core_coverage import measure
from services.fork_server import end, serve


def main() -> None:
    measure()
    gc.disable()  # until `serve`: next to nothing of what is imported and collected is garbage
    with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing):
        pytest.main(["--collect-only", "--quiet", "-p", "no:cacheprovider"])
    import_module("torch.distributed.tensor")  # as `torch.testing` does when first used, which each process would do
    end(serve())


if __name__ == "__main__":
    main()
