"""A fork server that has collected the tests: a process of pytest-xdist needs 1.5 s of CPU to begin, not 12 to 24 s.

Run by `forked_interpreter.py` as `python -P collected_tests.py NAME`. Modules of tests are imported here, and what that
covers of `core` is measured here.
"""

from __future__ import annotations

import os
from contextlib import redirect_stdout
from pathlib import Path

import coverage
import pytest
from services.fork_server import end, serve


def main() -> None:
    measured = coverage.Coverage(data_suffix="collection")
    with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing), measured.collect():
        pytest.main(["--collect-only", "--quiet", "-p", "no:cacheprovider"])
    measured.save()
    end(serve())


if __name__ == "__main__":
    main()
