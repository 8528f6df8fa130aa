"""Processes of a campaign: what is known of a worker from its logs, however often it was started."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from benchmarks.faults.embedded.server import kill
from benchmarks.faults.processes import SEEK_LOG_LINE, Child

LARGE = "memory = bytearray(200_000_000); print(flush=True); import time; time.sleep(600)"


def test_seeks_are_counted_in_all_logs_of_a_worker(tmp_path: Path) -> None:
    worker = Child("worker-1", tmp_path, ["--version"])
    counts = []
    for num_seeks in (2, 1):
        worker.start()
        worker.process.wait()
        worker.log_path.write_text(f"INFO {SEEK_LOG_LINE}: interactions/0@7\n" * num_seeks)
        counts.append(worker.num_seeks)
    worker.await_seek(after=counts[0])
    worker.stop()
    assert counts == [2, 3]


def test_a_parent_knows_at_once_that_a_process_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", LARGE], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        kill(process.pid)
        assert process.poll() == -signal.SIGKILL
    kill(process.pid)  # one that is gone is no error
