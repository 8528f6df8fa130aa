"""Importing our modules does nothing, and a process that starts imports only what it needs."""

from __future__ import annotations

import pytest
from services.new_interpreter import Told


@pytest.fixture
def imported(new_interpreter: Told) -> dict[str, set[str]]:
    """The modules that are imported when each part is: of a worker alone, of a server, then also of a training."""
    return {name: set(modules) for name, modules in new_interpreter["imported"].items()}


def packages_of(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_imports_open_no_socket_and_start_no_thread_or_engine(new_interpreter: Told) -> None:
    assert new_interpreter["errors"] == []
    assert new_interpreter["num_started"] == 0


def test_a_starting_worker_imports_no_model_and_no_client(imported: dict[str, set[str]]) -> None:
    packages = packages_of(imported["worker"])
    assert "faust" in packages
    assert packages.isdisjoint({"torch", "sklearn", "scipy", "faiss", "httpx", "fastapi"})


def test_a_serving_process_imports_nothing_of_training(imported: dict[str, set[str]]) -> None:
    packages = packages_of(imported["server"])
    assert {"torch", "fastapi", "river"} <= packages
    assert "sklearn" not in packages


def test_training_does_not_import_the_torch_compiler(imported: dict[str, set[str]]) -> None:
    assert "model.training.adam" in imported["training"]
    assert "torch._dynamo" not in imported["training"]
