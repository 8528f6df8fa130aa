"""A fork server that has collected the tests: a process of pytest-xdist needs 1.5 s of CPU to begin, not 12 to 24 s.

Run by `forked_interpreter.py` as `python -P collected_tests.py NAME`. `core` and the modules of tests are imported,
and what importing covers of `core` is measured.
"""

from __future__ import annotations

import os
import pkgutil
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path

import coverage
import pytest
from services.fork_server import end, serve


def main() -> None:
    measured = coverage.Coverage(data_suffix="collection")
    with measured.collect():  # of `core` alone: the tracer doubles the time of all that is imported
        for module in pkgutil.walk_packages(import_module("core").__path__, "core."):
            import_module(module.name)
    measured.save()
    with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing):
        pytest.main(["--collect-only", "--quiet", "-p", "no:cacheprovider"])
    import_module("torch.distributed.tensor")  # as `torch.testing` does when first used, which each process would do
    end(serve())


if __name__ == "__main__":
    main()
