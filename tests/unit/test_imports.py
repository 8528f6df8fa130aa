"""Importing our modules does nothing, and a process that starts imports only what it needs.

One interpreter imports what each kind of process needs, one after the other, and then all modules.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("core", "stream", "model", "index", "storage", "serving", "tidewise")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MIGRATIONS = ROOT / "storage" / "migrations"
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in FILES
    if MIGRATIONS not in path.parents and path.name != "__main__.py"
]

WORKER = "import tidewise.cli as cli, tidewise.processes.worker, stream.worker.worker, storage; cli.commands['worker']"
SERVER = "import serving.app, model.checkpoint, model.inference.cached, stream.drift.detectors"
TRAINING = """
import model.training.train, model.training.fine_tuning
from torch import ones
from model.training.adam import Adam
parameter = ones(2, requires_grad=True)
parameter.sum().backward()
Adam([parameter]).step(0.1)
"""
EVERYTHING = """
import importlib
for name in MODULES:
    importlib.import_module(name)
"""
PROGRAM = """
import json, socket, sys, threading, traceback

def bomb(*args, **named):
    raise RuntimeError("an import must not do this")

class NoSockets(socket.socket):
    connect = connect_ex = bind = listen = bomb

socket.socket = NoSockets
threading.Thread.start = bomb
num_threads = threading.active_count()
import sqlalchemy
sqlalchemy.create_engine = bomb
parts, modules = json.load(sys.stdin)
imported, error = {}, None
for name, part in parts.items():
    try:
        exec(part, {"MODULES": modules})
    except Exception:
        error = traceback.format_exc()
        break
    imported[name] = sorted(sys.modules)
num_started = threading.active_count() - num_threads
print(json.dumps({"imported": imported, "error": error, "num_started": num_started}))
"""


@pytest.fixture(scope="module")
def child() -> dict[str, object]:
    """What an interpreter tells that imports everything with bombs in sockets, threads and engines."""
    parts = {"worker": WORKER, "server": SERVER, "training": TRAINING, "everything": EVERYTHING}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        input=json.dumps([parts, MODULES]),
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    told: dict[str, object] = json.loads(done.stdout)
    return told


@pytest.fixture
def imported(child: dict[str, dict[str, list[str]]]) -> dict[str, set[str]]:
    """The modules that are imported when each part is: of a worker, then also of a server, of a training."""
    return {name: set(modules) for name, modules in child["imported"].items()}


def packages_of(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_imports_open_no_socket_and_start_no_thread_or_engine(child: dict[str, object]) -> None:
    assert child["error"] is None
    assert child["num_started"] == 0


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
