"""Child processes that run `tidewise`: started, awaited until ready, and ended."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from core.errors import TidewiseError
from tidewise.process_setup import own_command

PREFERRED_PORT = 8080
READY_TIMEOUT_S = 180.0  # a start takes 3 s, on a busy machine a minute
POLL_S = 0.05


class ProcessError(TidewiseError):
    """A child process ended or did not become ready.

    Operator action: read its log, whose end the message quotes.
    """


@contextmanager
def running(
    arguments: Sequence[str],
    *,
    log: Path,
    grace_s: float = 15.0,
    variables: Mapping[str, str] | None = None,
    niceness: int = 0,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `tidewise ARGUMENTS` with its output in `log`; terminated, after `grace_s` killed, at the block's end.

    `variables`: added to the environment of this process. `niceness`: see nice(1).
    """
    command = own_command(*arguments)
    if niceness:
        command = ["nice", f"--adjustment={niceness}", *command]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        environment = {**os.environ, **(variables or {})}
        child = subprocess.Popen(  # noqa: S603 - ours
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(grace_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_ready(child: subprocess.Popen[bytes], url: str, *, log: Path, timeout_s: float = READY_TIMEOUT_S) -> None:
    """Wait until `url`/ready answers 200; raises `ProcessError` with the end of the log if the child ends first."""
    import httpx  # 0.15 s of CPU, which a server does without

    deadline_s = time.monotonic() + timeout_s
    with httpx.Client(timeout=2.0) as client:  # reads the certificates of authorities: 50 ms of CPU
        while time.monotonic() < deadline_s:
            check_running({log: child})
            with suppress(httpx.TransportError):  # it does not listen yet
                if client.get(f"{url}/ready").status_code == httpx.codes.OK:
                    return
            time.sleep(POLL_S)
    msg = f"the server was not ready within {timeout_s:.0f} s; its log ends with:\n{_tail(log)}"
    raise ProcessError(msg)


def check_running(children: Mapping[Path, subprocess.Popen[bytes]]) -> None:
    """Raise `ProcessError` if one of the children, by log, has ended."""
    for log, child in children.items():
        if child.poll() is not None:
            msg = f"a process ended with code {child.returncode}; its log, {log}, ends with:\n{_tail(log)}"
            raise ProcessError(msg)


def wait_for_interrupt(children: Mapping[Path, subprocess.Popen[bytes]]) -> None:
    """Wait until SIGINT or SIGTERM raises here; raises `ProcessError` if one of the children, by log, ends before."""
    while True:
        check_running(children)
        time.sleep(1.0)


def free_port(preferred: int) -> int:
    """The preferred port of 127.0.0.1 if it is free, else any free port."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    msg = "no port of 127.0.0.1 is free"
    raise ProcessError(msg)


def _tail(log: Path, lines: int = 12) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
