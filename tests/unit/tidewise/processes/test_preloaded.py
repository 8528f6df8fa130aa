"""What is imported at the start of an API, and that no time goes into looking for garbage meanwhile."""

from __future__ import annotations

from services.new_interpreter import Told

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


def test_an_api_imports_at_its_start_what_it_needs(new_interpreter: Told) -> None:
    modules = set(new_interpreter["imported"]["preloaded"])
    assert {"serving.app", "index.live", "model.inference.cached", "torch", "faiss"} <= modules
    assert [name for name in LATER if name in modules] == []


def test_garbage_is_looked_for_once_and_forks_share_what_is_imported(new_interpreter: Told) -> None:
    assert new_interpreter["collections"].count(2) == 1
    assert new_interpreter["num_frozen"] > 100_000
    assert new_interpreter["is_restored"]
