"""How long requests fail when one of several API processes is killed.

    python -m benchmarks.scale.killed --data FOLDER --processes 2 --kills 5

Clients ask for recommendations, half of them over a new connection each time, half over a kept one, and ask again at
once where a request fails. Now and then an API process gets SIGKILL. A failure lasts from the first error to the last
one before the same client has an answer: 0 where its first repetition succeeds.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx

from benchmarks.data_copies import served_copy
from benchmarks.report import percentiles, publish
from benchmarks.scale.processes import family
from benchmarks.serving import ids_of
from tidewise.processes.supervisor import SETTLED_S

PAUSE_S = 2.0  # after the killed process is back
TIMEOUT_S = 10.0
LISTENING = "0A"  # in /proc/net/tcp


@dataclass
class RepeatingClient:
    """Asks until it is stopped. `failures_s`: how long each failure lasted; `num_errors`: requests that failed."""

    url: str
    users: list[str]
    keeps_connection: bool
    took_s: list[float] = field(default_factory=list)
    failures_s: list[float] = field(default_factory=list)
    num_errors: int = 0

    def run(self, stop: threading.Event) -> None:
        """Ask for one user after the other."""
        number, client, last_s = 0, httpx.Client(timeout=TIMEOUT_S), 0.0
        first_s: float | None = None
        while not stop.is_set():
            path = f"{self.url}/v1/users/{quote(self.users[number % len(self.users)], safe='')}/recommendations"
            begin_s = time.perf_counter()
            try:
                ask = client.get if self.keeps_connection else httpx.get
                ask(path, timeout=TIMEOUT_S).raise_for_status()
            except httpx.HTTPError:
                last_s = time.perf_counter()
                first_s = last_s if first_s is None else first_s
                self.num_errors += 1
                continue
            self.took_s.append(time.perf_counter() - begin_s)
            if first_s is not None:
                self.failures_s.append(last_s - first_s)
                first_s = None
            number += 1


def listeners(supervisor: int, port: int) -> list[int]:
    """The processes that listen on the port, the longest running one first."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {line[9] for line in lines if line[3] == LISTENING and line[1].endswith(f":{port:04X}")}
    return [pid for pid in family(supervisor) if inodes & {link[8:-1] for link in links(pid)}]


def links(pid: int) -> list[str]:
    """What the descriptors of a process are, as "socket:[INODE]"."""
    found = []
    for descriptor in _descriptors(pid):
        with suppress(OSError):  # it has just been closed
            found.append(os.readlink(descriptor))
    return found


def _descriptors(pid: int) -> list[Path]:
    with suppress(OSError):  # the process has just ended
        return list(Path(f"/proc/{pid}/fd").iterdir())
    return []


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a data folder (copied)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--clients", type=int, default=8, help="that ask without a pause")
    options = parser.parse_args()
    stop = threading.Event()
    with served_copy(options.data, processes=options.processes) as served:
        pid, port, users = served.process.pid, served.port, random.Random(1).sample(ids_of(served.data)[0], 100)
        url = f"http://127.0.0.1:{port}"
        clients = [RepeatingClient(url, users, keeps_connection=number % 2 == 0) for number in range(options.clients)]
        threads = [threading.Thread(target=client.run, args=(stop,)) for client in clients]
        for thread in threads:
            thread.start()
        back_s = []
        for _ in range(options.kills):
            time.sleep(PAUSE_S + SETTLED_S / options.processes)  # else the next start of a process is put off
            killed, killed_s = listeners(pid, port)[0], time.perf_counter()
            os.kill(killed, signal.SIGKILL)
            while killed in (listening := listeners(pid, port)) or len(listening) < options.processes:
                time.sleep(0.05)
            back_s.append(time.perf_counter() - killed_s)
        time.sleep(PAUSE_S)
        stop.set()
        for thread in threads:
            thread.join()
    failures_s = [failure for client in clients for failure in client.failures_s]
    figures = {
        "kills": options.kills,
        "errors": sum(client.num_errors for client in clients),
        "failures": percentiles(failures_s) if failures_s else 0,
        "all processes listen again after": percentiles(back_s),
        "answers": percentiles([took for client in clients for took in client.took_s]),
    }
    publish(f"killed API processes, {options.processes} processes, {options.clients} clients", figures)


if __name__ == "__main__":
    main()
