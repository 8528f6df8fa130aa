"""A process of the peers' environment: requests go in and replies come out as JSON lines, until it is closed.

Knows no model and no file format.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InvalidInput, TidewiseError

CHECKOUT = Path(__file__).resolve().parents[3]
SHOWN_LINES = 5  # of the log of a process that has ended
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class PeerFailed(TidewiseError):
    """The process of another library's model ended before it answered. The message has the end of its log."""


@dataclass(frozen=True, slots=True)
class PeerEnvironment:
    """Where the peers' Python is, and the script that it runs. `make peers` makes the environment of a checkout."""

    python: Path = CHECKOUT / ".venv-peers" / "bin" / "python"
    script: Path = CHECKOUT / "benchmarks" / "peers" / "run.py"

    def require(self, model: str) -> None:
        """Raise `InvalidInput` where the environment is missing."""
        for path in (self.python, self.script):
            if not path.exists():
                msg = f"--model {model}: wanted the peers' environment, got no {path}; run `make peers` in a checkout"
                raise InvalidInput(msg)

    def version(self) -> str:
        """A hash of the scripts and of the versions of their libraries; empty where there are none."""
        content = hashlib.blake2b(digest_size=8)
        for path in sorted((*self.script.parent.glob("*.py"), self.script.parent / "constraints.txt")):
            content.update(path.read_bytes() if path.exists() else b"")
        return content.hexdigest()


class PeerProcess:
    """A running process. `log`: the file that gets what it prints."""

    def __init__(self, environment: PeerEnvironment, log: Path, *, num_threads: int) -> None:
        self._log = log
        threads = dict.fromkeys(THREAD_VARIABLES, str(num_threads))
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(  # noqa: S603
                [environment.python, "-u", "-E", "-s", environment.script],  # -E -s: no packages from elsewhere
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, **threads},
                text=True,
                bufsize=1,
            )

    def ask(self, request: Mapping[str, Any], progress: Callable[[Mapping[str, Any]], None]) -> Mapping[str, Any]:
        """Send a request and wait for what it brings; raises `PeerFailed` where the process ends before."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            for line in self._process.stdout:
                reply: Mapping[str, Any] = json.loads(line)
                if "done" in reply:
                    done: Mapping[str, Any] = reply["done"]
                    return done
                progress(reply["progress"])
        except BrokenPipeError:
            pass  # the log says why
        raise PeerFailed(self._failure())

    def _failure(self) -> str:
        code = self._process.wait()
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-SHOWN_LINES:]
        return f"the peer process ended with code {code}: " + (" | ".join(lines) or "it printed nothing")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
