"""Children that tests fork instead of starting an interpreter are processes like those of a user."""

from __future__ import annotations

import json
import multiprocessing
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from services.fork_client import ForkServerClient
from services.forked_process import server_name

from core.errors import NotReady

SCRIPT = """
import json, os, signal, sys, time
print(json.dumps([sys.argv[1:], os.getcwd(), os.environ.get("COLOUR"), sys.stdin.read()]), flush=True)
if "wait" in sys.argv:
    time.sleep(60)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def script(tmp_path: Path) -> list[str]:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return [sys.executable, "-P", str(path)]


def test_a_child_has_its_arguments_folder_environment_and_streams(script: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*script, "3", "x"], cwd=tmp_path, env={"COLOUR": "red"}, input="hello", capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (3, f'[["3", "x"], "{tmp_path}", "red", "hello"]\n')


def test_a_command_of_ours_runs_and_its_usage_errors_are_told() -> None:
    done = subprocess.run([sys.executable, "-P", "-m", "tidewise", "fly"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such command 'fly'" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_dies_of_a_signal(script: list[str], number: signal.Signals) -> None:
    with subprocess.Popen([*script, "0", "wait"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline()
        assert child.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.01)
        child.send_signal(number)
        assert child.wait(10) == -number


def test_a_child_may_have_a_session_of_its_own(script: list[str]) -> None:
    code = "import os; print(os.getpid() == os.getsid(0))"
    command = [*script[:2], "-c", code]
    assert [
        subprocess.run(command, capture_output=True, text=True, start_new_session=wanted).stdout.strip()
        for wanted in (True, False)
    ] == ["True", "False"]


def test_a_spawned_child_has_its_arguments_pipes_and_exit_code() -> None:
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=sending.send, args=(NotReady("sent by a child"),))
    child.start()
    assert str(receiving.recv()) == "sent by a child"
    child.join(20)
    failing = context.Process(target=sys.exit, args=(3,))
    failing.start()
    failing.join(20)
    assert (child.exitcode, failing.exitcode) == (0, 3)


def test_a_spawned_child_dies_of_a_signal() -> None:
    child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    child.start()
    assert child.exitcode is None
    child.kill()
    child.join(20)
    assert child.exitcode == -signal.SIGKILL


def test_a_child_ends_with_the_process_that_asked_for_it(
    script: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its end closes the connection."""
    client = ForkServerClient(server_name(tmp_path_factory))
    command = {"arguments": [*script[2:], "0", "wait"], "environment": {}, "folder": "/"}
    with Path(os.devnull).open("r+b") as nothing:
        connection, pid = client.request(json.dumps(command).encode(), [nothing.fileno()] * 3)
    ended = os.pidfd_open(pid)
    client.close()
    assert not select.select([ended], [], [], 0.2)[0]
    connection.close()
    assert select.select([ended], [], [], 20)[0]
    os.close(ended)
