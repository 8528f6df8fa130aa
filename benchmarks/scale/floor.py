"""The floor: what the same machine does at least per answer, without anything that Tidewise adds.

    python -m benchmarks.scale.floor

A bare ASGI app under uvicorn reads the user's row from SQLite, searches 3,900 vectors of 128 dimensions flat in FAISS,
and writes 20 items as JSON. One worker per core; they share the port.
"""

from __future__ import annotations

import argparse
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import publish
from benchmarks.scale.client import WrkReport, run_clients
from tidewise.processes.children import free_port

NUM_USERS, NUM_ITEMS, WIDTH, ANSWERS = 6_000, 3_900, 128, 20
DATABASE_VARIABLE = "FLOOR_DATABASE"
HEADERS = [(b"content-type", b"application/json")]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def make_database(path: Path) -> None:
    """Users with a vector each."""
    vectors = np.random.default_rng(1).standard_normal((NUM_USERS, WIDTH), dtype=np.float32)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE users (user_id TEXT PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID")
        rows = ((str(number), vector.tobytes()) for number, vector in enumerate(vectors))
        connection.executemany("INSERT INTO users VALUES (?, ?)", rows)
        connection.commit()


def create_app() -> Callable[..., Awaitable[None]]:
    """The ASGI app; uvicorn calls this in each worker."""
    import faiss
    import orjson

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(WIDTH)
    index.add(np.random.default_rng(2).standard_normal((NUM_ITEMS, WIDTH), dtype=np.float32))
    connection = sqlite3.connect(os.environ[DATABASE_VARIABLE], isolation_level=None)
    titles = [f"Item {number}" for number in range(NUM_ITEMS)]

    async def app(scope: dict[str, Any], _receive: object, send: Send) -> None:
        if scope["type"] != "http":
            return
        user_id = scope["path"].rpartition("/")[2]
        (vector,) = connection.execute("SELECT vector FROM users WHERE user_id = ?", (user_id,)).fetchone()
        scores, rows = index.search(np.frombuffer(vector, np.float32)[None], ANSWERS)
        items = [
            {"item_id": str(row), "title": titles[row], "score": score}
            for row, score in zip(rows[0].tolist(), scores[0].tolist(), strict=True)
        ]
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": orjson.dumps({"items": items})})

    return app


def measure(*, workers: int, seconds: int) -> dict[int, WrkReport]:
    """The floor at 1 and 8 clients."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port(0)
        make_database(folder / "users.db")
        environment = {**os.environ, DATABASE_VARIABLE: str(folder / "users.db"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "uvicorn", "--factory", "benchmarks.scale.floor:create_app"]
        options = ["--port", str(port), "--workers", str(workers), "--log-level", "warning", "--no-access-log"]
        server = subprocess.Popen([*command, *options], env=environment)
        try:
            _wait_for(port, server)
            paths = [f"/users/{number}" for number in range(NUM_USERS)]
            return {n: run_clients(port, paths, clients=n, seconds=seconds, folder=folder) for n in (1, 8)}
        finally:
            server.terminate()
            server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)
        else:
            return


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=int, default=10)
    options = parser.parse_args()
    measured = measure(workers=options.workers, seconds=options.seconds)
    publish(f"the floor, {options.workers} workers", {f"{n} clients": vars(load) for n, load in measured.items()})


if __name__ == "__main__":
    main()
