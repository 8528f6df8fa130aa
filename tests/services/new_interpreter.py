"""What a new interpreter tells that imports what each kind of process needs, for all tests of imports in a run.

Run as `python new_interpreter.py`; prints a `Told` as JSON. Imports must open no socket and start no thread or engine:
each such call fails. Forks import what the rest must not have: a worker's part, and the commands without extras.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypedDict

ROOT = Path(__file__).parents[2]
ARMED = {"imports"}  # when calls fail that an import must not do
PACKAGES = ("core", "stream", "model", "index", "storage", "serving", "tidewise")
MIGRATIONS = ROOT / "storage" / "migrations"
EXTRAS = ("kafka", "faust", "mode", "aiokafka", "cramjam", "psycopg", "authlib", "pytest", "hypothesis")
SETTINGS = {
    "server.api_key": "a-key-of-an-administrator",
    "oidc.issuer": "https://localhost:9",
    "oidc.client_id": "tidewise",
    "oidc.client_secret": "secret",
    "oidc.public_url": "https://localhost",
    "oidc.admins": "*",
}
SIGN_IN = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
COMMANDS = {
    "the demo": ["demo", "--exit"],
    "worker": ["worker", "--kafka", "localhost:9"],
    "serve before Kafka": ["serve", "--kafka", "localhost:9", "--port", "0"],
    "serve with a sign-in": ["serve", "--port", "0", *SIGN_IN],
    "serve on PostgreSQL": ["serve", "--set", "database.url=postgresql://localhost:9/none", "--port", "0"],
}


class Told(TypedDict):
    """`imported`: the modules that are there after each part. `errors`: what failed. `num_started`: threads.

    Of the import of `tidewise.processes.preloaded`: `collections` of garbage by their generations, `num_frozen`
    objects, whether the thresholds `is_restored`. `ends`: how commands ended without extras: status, output, errors.
    """

    imported: dict[str, list[str]]
    errors: list[str]
    num_started: int
    collections: list[int]
    num_frozen: int
    is_restored: bool
    ends: dict[str, list[Any]]


def tell(path: Path) -> None:
    """Have a new interpreter write the file."""
    # -X: an interpreter of its own, no fork of one that has imported the product
    command = [sys.executable, "-P", "-X", "utf8", __file__]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    path.write_text(done.stdout)


def main() -> None:
    import sqlalchemy

    socket.socket = ArmedSocket  # type: ignore[misc]
    threading.Thread.start = armed(threading.Thread.start)  # type: ignore[method-assign]
    sqlalchemy.create_engine = armed(sqlalchemy.create_engine)
    parts = Parts()
    worker = in_fork(lambda: parts.run("worker", import_worker))
    parts.run("preloaded", parts.import_preloaded)
    ends = in_fork(ends_without_extras)
    parts.run("server", import_server)
    parts.run("training", import_training)
    told = parts.run("everything", import_everything)
    told["imported"] |= worker["imported"]
    told["errors"] += worker["errors"]
    told["num_started"] += worker["num_started"]
    print(json.dumps(told | {"ends": ends}))


def armed(call: Callable[..., Any]) -> Callable[..., Any]:
    """The call, which fails while parts are imported."""

    def checked(*args: object, **named: object) -> object:
        if ARMED:
            msg = "an import must not do this"
            raise RuntimeError(msg)
        return call(*args, **named)

    return checked


class ArmedSocket(socket.socket):
    connect = armed(socket.socket.connect)
    connect_ex = armed(socket.socket.connect_ex)
    bind = armed(socket.socket.bind)
    listen = armed(socket.socket.listen)


def in_fork(run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of a function in a fork, which leaves this process as it was."""
    reader, writer = os.pipe()
    if pid := os.fork():
        os.close(writer)
        with os.fdopen(reader) as answer:
            text = answer.read()
        assert os.waitpid(pid, 0)[1] == 0
        result: dict[str, Any] = json.loads(text)
        return result
    try:
        with os.fdopen(writer, "w") as answer:
            json.dump(run(), answer)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


class Parts:
    """Imports one part after the other and notes what is there after each."""

    def __init__(self) -> None:
        self._imported: dict[str, list[str]] = {}
        self._errors: list[str] = []
        self._num_threads = threading.active_count()
        self._garbage: dict[str, object] = {}

    def run(self, name: str, part: Callable[[], None]) -> dict[str, Any]:
        """Import a part; returns what is known so far."""
        try:
            part()
        except Exception:
            self._errors.append(traceback.format_exc())
        self._imported[name] = sorted(sys.modules)
        num_started = threading.active_count() - self._num_threads
        return {
            "imported": self._imported,
            "errors": self._errors,
            "num_started": num_started,
            **self._garbage,
        }

    def import_preloaded(self) -> None:
        """What APIs and the monitor are forks of."""
        collections: list[int] = []
        before = gc.get_threshold()

        def note(phase: str, info: dict[str, int]) -> None:
            if phase == "start":
                collections.append(info["generation"])

        gc.callbacks.append(note)
        importlib.import_module("tidewise.processes.preloaded")
        gc.callbacks.remove(note)
        self._garbage = {
            "collections": collections,
            "num_frozen": gc.get_freeze_count(),
            "is_restored": gc.get_threshold() == before,
        }


def import_worker() -> None:
    for name in ("tidewise.processes.worker", "stream.worker.worker", "storage"):
        importlib.import_module(name)
    importlib.import_module("tidewise.cli").commands["worker"]


def import_server() -> None:
    for name in ("serving.app", "model.checkpoint", "model.inference.cached", "stream.drift.detectors"):
        importlib.import_module(name)


def import_training() -> None:
    for name in ("model.training.train", "model.training.fine_tuning"):
        importlib.import_module(name)
    from torch import ones

    from model.training.adam import Adam

    parameter = ones(2, requires_grad=True)
    parameter.sum().backward()  # type: ignore[no-untyped-call]
    Adam([parameter]).step(0.1)


def import_everything() -> None:
    files = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    for path in files:
        if MIGRATIONS not in path.parents and path.name != "__main__.py":
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))


class Missing:
    """Finds no module of an extra, as where none is installed."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in EXTRAS:
            msg = f"No module named {name!r}"
            raise ModuleNotFoundError(msg, name=name)


def ends_without_extras() -> dict[str, object]:
    """How each command ends where no extra is installed. No command leaves anything behind for the next."""
    ARMED.clear()
    loaded = {name.partition(".")[0] for name in sys.modules}
    assert loaded.isdisjoint(EXTRAS), loaded.intersection(EXTRAS)
    sys.meta_path.insert(0, Missing())  # type: ignore[arg-type]
    import tidewise.demo.demo

    for name in ("index.exact", "model.training.train", "tidewise.demo.tour", "tidewise.processes.kafka"):
        importlib.import_module(name)
    importlib.import_module("tidewise.training.learning")
    from tidewise.cli import main as run

    tidewise.demo.demo.run_demo = lambda *_, **__: print("it runs")
    ends: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name, words in COMMANDS.items():
            sys.argv = ["tidewise", *words, "--data", "data"]
            out, err, end = io.StringIO(), io.StringIO(), SimpleNamespace(code=0)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    run()
                except SystemExit as exited:
                    end.code = exited.code or 0
            ends[name] = [end.code, out.getvalue(), err.getvalue()]
    return ends


if __name__ == "__main__":
    main()
