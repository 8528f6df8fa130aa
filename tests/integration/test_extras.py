"""An install without extras: the embedded system runs, and the rest says which extra to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXTRAS = ("kafka", "faust", "mode", "aiokafka", "cramjam", "psycopg", "pytest", "hypothesis")

WITHOUT_EXTRAS = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


def python(program: str, *, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program where no extra is installed."""
    command = [sys.executable, "-c", WITHOUT_EXTRAS + program]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def test_the_demo_starts_without_extras(tmp_path: Path) -> None:
    program = """
import tidewise.demo.demo
tidewise.demo.demo.run_demo = lambda settings, options, *, console: print("it runs")
sys.argv = ["tidewise", "demo", "--exit"]
from tidewise.cli import main
main()
"""
    done = python(program, folder=tmp_path)
    assert done.stdout == "it runs\n", done.stderr


def test_the_embedded_system_can_be_imported_without_extras(tmp_path: Path) -> None:
    modules = (
        "tidewise.processes.api, tidewise.training.learning, tidewise.demo.tour, serving.app,"
        " serving.http.server, storage, model.training.train"
    )
    done = python(f"import {modules}, index.exact, tidewise.processes.kafka", folder=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (["worker", "--kafka", "localhost:9"], "kafka"),
        (["serve", "--kafka", "localhost:9", "--port", "0"], "kafka"),
        (["serve", "--set", "database.url=postgresql://localhost:9/none", "--port", "0"], "postgres"),
    ],
    ids=["worker", "serve before Kafka", "serve on PostgreSQL"],
)
def test_a_missing_extra_is_an_error_that_says_how_to_install_it(tmp_path: Path, words: list[str], extra: str) -> None:
    program = f"""
sys.argv = ["tidewise", *{words!r}, "--data", "data"]
from tidewise.cli import main
main()
"""
    done = python(program, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert f"tidewise[{extra}]" in done.stderr.replace("\n", "")
