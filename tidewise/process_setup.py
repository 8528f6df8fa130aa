"""What every process of ours sets up: native threads, logs, garbage collection, its name, its end, its children.

Imports nothing but the standard library, because native thread pools are sized when numpy is first imported.
"""

from __future__ import annotations

import ctypes
import gc
import getpass
import json
import logging
import os
import resource
import secrets
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Literal

# They set the size of native thread pools.
THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
# Of which lines, colours and commands of terminals are made (C0 and C1 but line break and tab), and which reverse text.
CONTROLS = (*range(9), *range(11, 32), *range(127, 160), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
UNPRINTABLE = {code: f"\\u{code:04x}" for code in CONTROLS}
CHATTY_LOGGERS = ("httpx", "httpcore", "uvicorn.error", "alembic", "faiss", "kafka", "aiokafka", "faust", "mode")
SLOW_STEPS = "kafka.net.selector"  # warns of each step of the client that took .1 s, as on any busy machine
SWITCH_INTERVAL_S = 0.0005  # how long a thread keeps the interpreter lock (GIL) while others wait for it
YOUNG_OBJECTS = 20_000  # more allocated than freed since the last collection begin one; Python's default is 700
OBJECTS_WHILE_IMPORTING = 1_000_000  # a start allocates 450,000 that stay
LOW_PRIORITY = 5  # niceness of a process that works beside those that answer or commit
AUTOGROUP = Path("/proc/self/autogroup")
NUM_TRIES, PAUSE_S = 50, 0.1  # to set the niceness of a session
PR_SET_PDEATHSIG = 1  # of prctl(2)
EXIT_INTERRUPTED = 130  # the shell's exit status after SIGINT
SYS_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}  # its number by machine; C libraries hardly wrap it
SLICE_NS = 100_000  # the shortest that the kernel grants
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of mallopt(3)
NUM_ARENAS = 2  # pools of memory, each of which keeps freed pieces for the threads that share it
LARGE_BYTES = 5_000_000  # of an array: more than the scores of a million items


def limit_native_threads() -> None:
    """One native thread per pool, unless the environment says otherwise; to be called before numpy is imported."""
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")


def forbid_core_dumps() -> None:
    """Write no memory image after a crash, of this process or its children: it would hold keys and personal data."""
    _, highest = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, highest))


def postpone_gc() -> None:
    """Look for garbage after the start only, in `freeze_gc`: during it this took an eighth of the CPU time."""
    gc.set_threshold(OBJECTS_WHILE_IMPORTING)


@contextmanager
def gc_postponed() -> Iterator[None]:
    """As `postpone_gc`, while the block runs."""
    before = gc.get_threshold()
    postpone_gc()
    try:
        yield
    finally:
        gc.set_threshold(*before)


def freeze_gc() -> None:
    """Collect garbage once more, then leave out of later collections whatever is alive now, and collect seldom.

    For long-running processes that have loaded their modules: a full collection over some hundred thousand objects
    stopped a worker for 50 ms in the middle of a transaction, and every 3 s all requests for 70 ms. Requests and
    transactions leave next to no cycles behind; what they allocate and keep is cached data.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


def set_switch_interval() -> None:
    """Let a thread that computes give way to requests after half a millisecond, instead of Python's 5 ms.

    An answer waits for the interpreter lock (GIL) after each query and each longer numpy call: beside the monitor's
    start, p50 61 -> 30 ms and p99 283 -> 99 ms, at the cost of 5% more CPU where 8 clients ask and nothing computes.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)


def ask_for_short_slices() -> None:
    """Let threads of this process run as soon as they wake, beside processes that compute: for .1 ms at a time.

    An answer sleeps and wakes several times, and Linux lets a process that computes, even one of low priority, finish
    its slice of 3 ms first. From 6.12 on (sched_setattr(2), EEVDF) a thread with a shorter slice need not wait for
    that; its share of the CPU stays the same. Elsewhere nothing changes. Threads started later inherit it. With 8
    clients on two cores p99 fell from 24 to 15 ms, beside changes of items and events from 81 to 61 ms.
    """
    call = SYS_SCHED_SETATTR.get(os.uname().machine)
    if sys.platform != "linux" or call is None:
        return
    library = ctypes.CDLL(None)
    for thread in os.listdir("/proc/self/task"):
        niceness = os.getpriority(os.PRIO_PROCESS, int(thread))
        # struct sched_attr: size, policy (SCHED_OTHER), flags, nice, priority, runtime, deadline, period
        attributes = struct.pack("=IIQiIQQQ", 48, 0, 0, niceness, 0, SLICE_NS, 0, 0)
        library.syscall(call, int(thread), attributes, 0)  # refused by an old kernel or a sandbox: as before


def work_at_low_priority(niceness: int) -> None:
    """Let processes that answer or commit have the CPU first; in a session of its own. `niceness`: added to its own.

    Niceness alone counts only among the processes of one session where Linux groups them by sessions (autogroup, see
    sched(7)), as Debian and Ubuntu do; so that of the session is set, too.
    """
    wanted = os.nice(niceness)
    if os.getsid(0) != os.getpid():
        os.setsid()
    for _ in range(NUM_TRIES):
        try:
            AUTOGROUP.write_text(str(wanted))
        except BlockingIOError:  # one change each .1 s is allowed to all processes together
            time.sleep(PAUSE_S)
        except OSError:  # a kernel without groups
            return
        else:
            return


def keep_little_memory() -> None:
    """Let glibc keep little of the memory that is freed, and return that of large arrays to the system.

    By default it keeps memory for as large an array as was freed before, up to 32 MB, and what lies between two
    others is not returned: each time transition counts were sorted, every process kept some 100 MB more. And each
    thread gets an arena of its own: 128 MB more in three processes after two minutes under load, and no faster.
    """
    with suppress(AttributeError):  # another C library
        allocator = ctypes.CDLL(None)
        allocator.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        allocator.mallopt(M_TRIM_THRESHOLD, 2 * LARGE_BYTES)
        allocator.mallopt(M_ARENA_MAX, NUM_ARENAS)


class TextFormatter(logging.Formatter):
    """A log record as text: a traceback is indented, and whatever a message holds, it begins no line of its own."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The record."""
        return printable(super().format(record)).replace("\n", "\n  ")


class JsonFormatter(logging.Formatter):
    """One JSON object per log record: time, level, logger, message and, after an exception, the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The record on one line."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return printable(json.dumps(entry, ensure_ascii=False))


def printable(text: str) -> str:
    r"""Text, or JSON, for a terminal or a log: what would move its cursor or turn text round is shown as \u001b."""
    return text if text.isprintable() else text.translate(UNPRINTABLE)


def start_log(level: int) -> None:
    """Log to standard error from this level on; libraries that report every step only with `logging.DEBUG`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextFormatter())
    logging.basicConfig(level=level, handlers=[handler])
    if level > logging.DEBUG:
        for name in CHATTY_LOGGERS:
            logging.getLogger(name).setLevel(logging.WARNING)
        logging.getLogger(SLOW_STEPS).setLevel(logging.ERROR)


def use_log_format(log_format: Literal["text", "json"]) -> None:
    """Write the log as text (the default) or as JSON from now on."""
    if log_format == "json":
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonFormatter())


def process_name() -> str:
    """A name that no other process has, on any machine at any time; it begins with the host, for people."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def account() -> str:
    """The account that runs this process, for people."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in containers
        return "unknown"


def shutdown_requested() -> Event:
    """An event that SIGINT and SIGTERM set from now on; to be called in the main thread."""
    requested = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: requested.set())
    return requested


def unwind_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does: children are ended, leases released, temporary files removed.

    Commands that serve put handlers of their own in its place. To be called in the main thread.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def end_with_parent() -> None:
    """Ask the kernel to end this process when its parent dies, however it dies. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def own_command(*arguments: str) -> list[str]:
    """The command line of `tidewise ARGUMENTS` with this interpreter.

    `-P`: otherwise a `model.py` or a folder `core` in the working directory would be imported instead of ours.
    """
    return [sys.executable, "-P", "-m", "tidewise", *arguments]
