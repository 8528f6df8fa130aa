"""What is imported at the start of an API, and that no time goes into looking for garbage meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# Imported when they are needed: by commands, trainings, other databases, or in a process of their own.
LATER = (
    "aiokafka",
    "alembic",
    "authlib",
    "duckdb",
    "faust",
    "httpx",
    "jinja2",
    "kafka",
    "mkdocs",
    "pandas",
    "PIL",
    "psycopg",
    "pyarrow",
    "rich.progress",
    "scipy",
    "sentence_transformers",
    "sklearn",
    "tidewise.demo",
    "model.training.train",
    "torch._dynamo",
    "torch._inductor",
    "torchvision",
    "transformers",
)
PROGRAM = """
import gc, json, sys
collections = []
gc.callbacks.append(lambda phase, info: collections.append(info["generation"]) if phase == "start" else None)
before = gc.get_threshold()
import tidewise.processes.preloaded
print(json.dumps([sorted(sys.modules), collections, gc.get_freeze_count(), gc.get_threshold() == before]))
"""


@pytest.fixture(scope="module")
def started() -> tuple[set[str], list[int], int, bool]:
    """The modules of a new process that has imported what APIs need, its collections, frozen objects, its threshold."""
    # -X: an interpreter of its own, no fork of one that has imported the product
    done = subprocess.run(
        [sys.executable, "-P", "-X", "utf8", "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    modules, collections, num_frozen, is_restored = json.loads(done.stdout)
    return set(modules), collections, num_frozen, is_restored


def test_an_api_imports_at_its_start_what_it_needs(started: tuple[set[str], list[int], int, bool]) -> None:
    modules, *_ = started
    assert {"serving.app", "index.live", "model.inference.cached", "torch", "faiss"} <= modules
    assert [name for name in LATER if name in modules] == []


def test_garbage_is_looked_for_once_and_forks_share_what_is_imported(
    started: tuple[set[str], list[int], int, bool],
) -> None:
    _, collections, num_frozen, is_restored = started
    assert collections.count(2) == 1
    assert num_frozen > 100_000
    assert is_restored
