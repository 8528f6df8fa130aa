"""The processes that train together: those of torchrun, or as many as the settings say, started here.

Process 0 trains as if it were alone; each of the others runs `tidewise train` with the variables that torchrun sets,
and receives everything from process 0.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

from core.errors import TrainingProcessLost
from tidewise.process_setup import end_with_parent, own_command, work_at_low_priority

if TYPE_CHECKING:
    from model.training.process_group import ProcessGroup, Rendezvous

POLL_S = 0.05  # between looks at processes
END_S = 10.0  # for a process to end, before it is killed


def rank() -> int:
    """The rank of this process in a training; 0 if it trains alone."""
    return int(os.environ.get("RANK", "0"))


def num_processes(setting: int) -> int:
    """How many processes train together: as torchrun has started, else as set."""
    return int(os.environ.get("WORLD_SIZE", setting))


def assist_training() -> None:
    """Train with process 0 until it has done; raises `TrainingProcessLost` if it ends before."""
    from model.training.process_group import Rendezvous, joined
    from model.training.train import assist

    end_with_parent()
    if _by_torchrun():
        with joined() as group:
            assist(group)
        return
    work_at_low_priority(0)  # as process 0 does, whose niceness is inherited
    rendezvous = Rendezvous(num_processes(1), port=int(os.environ["MASTER_PORT"]))
    rendezvous.arrive(rank())
    with joined(rendezvous, rank=rank()) as group:
        assist(group)


@contextmanager
def training_processes(setting: int, *, device: str = "cpu") -> Iterator[ProcessGroup]:
    """The processes of a training, until the block ends: as many as set, or those of torchrun if it started this one.

    On one machine they divide the CPU threads of this one. Raises `InvalidSettings` if there is no GPU for each and
    `device` is "cuda", `TrainingProcessLost` if one of them ends early.
    """
    from model.training.process_group import SINGLE, check_gpus, joined
    from model.training.threads import divided_threads

    size = num_processes(setting)
    if device == "cuda":
        num_local = int(os.environ.get("LOCAL_WORLD_SIZE", size))
        check_gpus(num_local, option="train.device", remedy="set train.processes, or train.device to cpu")
    if size == 1:
        yield SINGLE
    elif _by_torchrun():
        with divided_threads(int(os.environ["LOCAL_WORLD_SIZE"])), joined() as group:
            yield group
            group.broadcast(None)  # the end
    else:
        with divided_threads(size), _started(size) as rendezvous, joined(rendezvous, rank=0) as group:
            yield group
            group.broadcast(None)


def _by_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ


@contextmanager
def _started(size: int) -> Iterator[Rendezvous]:
    """Start the other processes of a training; yields where they wait for this one."""
    from model.training.process_group import Rendezvous

    rendezvous = Rendezvous(size)
    common = {"MASTER_PORT": str(rendezvous.port), "WORLD_SIZE": str(size)}
    children: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(1, size):
            variables = {**os.environ, **common, "RANK": str(number), "LOCAL_RANK": str(number)}
            # A session of its own: Ctrl-C ends process 0, which ends the others.
            children.append(subprocess.Popen(own_command("train"), env=variables, start_new_session=True))  # noqa: S603
        while not rendezvous.all_arrived():
            if _any_has_ended(children):
                raise TrainingProcessLost(_explained(children))
            time.sleep(POLL_S)
        with _ended_if_stuck(children):
            yield rendezvous
        for child in children:
            child.wait(END_S)
    except TrainingProcessLost as error:
        raise TrainingProcessLost(_explained(children)) from error
    finally:
        for child in children:
            child.kill()
            child.wait()


@contextmanager
def _ended_if_stuck(children: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    """End this process with an error if it is still in the block `END_S` after one of the others has ended.

    An exchange usually fails when another process ends, but Gloo may also wait for it until its timeout, and no
    exception of Python's gets out of that.
    """
    left = Event()

    def watch() -> None:
        while not left.wait(POLL_S) and not _any_has_ended(children):
            pass
        if not left.wait(END_S):
            print(f"error: {_explained(children)}", file=sys.stderr, flush=True)
            os._exit(1)

    thread = Thread(target=watch, name="training processes", daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join()


def _any_has_ended(children: list[subprocess.Popen[bytes]]) -> bool:
    return any(child.poll() is not None for child in children)


def _explained(children: list[subprocess.Popen[bytes]]) -> str:
    """Which process ended first, as far as it can be told: one that was killed, else one with an error."""
    deadline_s = time.monotonic() + END_S
    while not _any_has_ended(children) and time.monotonic() < deadline_s:
        time.sleep(POLL_S)
    ended = {number: child.returncode for number, child in enumerate(children, start=1) if child.returncode}
    if not ended:
        return "training: the connection to another process of this training was lost; start the training again"
    number = min(ended, key=lambda number: ended[number])
    status = ended[number]
    how = f"was killed by signal {-status}" if status < 0 else f"failed with status {status}"
    return f"training: process {number} of 0 to {len(children)} {how}, so all have ended; start the training again"
