"""Process setup: JSON logs, and garbage collection of long-running processes."""

from __future__ import annotations

import gc
import json
import logging
import os
import platform
import subprocess
import sys
import weakref
from io import StringIO

import pytest

from tidewise.process_setup import (
    AUTOGROUP,
    NUM_ARENAS,
    YOUNG_OBJECTS,
    JsonFormatter,
    TextFormatter,
    freeze_gc,
    use_log_format,
)


def test_a_log_record_is_one_line_of_json() -> None:
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.Logger("tidewise.test")
    logger.addHandler(handler)
    try:
        raise ValueError("boom")
    except ValueError:
        logger.exception('user "%s" said\nnothing', "é")
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert (entry["level"], entry["logger"], entry["message"]) == ("ERROR", "tidewise.test", 'user "é" said\nnothing')
    assert entry["traceback"].endswith("ValueError: boom")
    assert entry["time"].endswith("+00:00")


LINUX = tuple(int(number) for number in platform.release().split(".")[:2])
FORGED = "no such user\n2026-01-01 00:00:00,000 INFO tidewise: all is well\r\x1b[2J\x9b31m\u202e\u2028end"


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_whatever_a_message_holds_no_other_line_begins_a_record(formatter: logging.Formatter) -> None:
    record = logging.LogRecord("tidewise.test", logging.WARNING, "", 0, "refused: %s", (FORGED,), None)
    first, *others = formatter.format(record).split("\n")
    assert "no such user" in first
    assert all(line.startswith("  ") for line in others)
    assert not {"\r", "\x1b", "\x9b", "\u202e", "\u2028"} & set("".join([first, *others]))
    assert "\\u202e\\u2028end" in "".join([first, *others])


def test_no_memory_image_is_written_after_a_crash() -> None:
    script = "import resource; from tidewise.process_setup import forbid_core_dumps; forbid_core_dumps(); "
    script += "print(resource.getrlimit(resource.RLIMIT_CORE)[0])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "0\n"


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel does not group processes by sessions")
def test_low_priority_counts_beside_processes_of_other_sessions() -> None:
    script = "import os; from tidewise.process_setup import AUTOGROUP, work_at_low_priority; work_at_low_priority(3); "
    script += "print(os.nice(0), os.getsid(0) == os.getpid(), AUTOGROUP.read_text())"
    before, others = os.nice(0), AUTOGROUP.read_text()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    niceness, is_leader, _, _, of_session = done.stdout.split()
    assert (int(niceness), is_leader, int(of_session)) == (before + 3, "True", before + 3)
    assert AUTOGROUP.read_text() == others


KEPT_MB = """
import numpy as np
from tidewise.process_setup import keep_little_memory

def megabytes():
    [line] = [line for line in open("/proc/self/status") if line.startswith("RssAnon")]
    return int(line.split()[1]) / 1024

{call}
np.ones(30 << 17)  # 30 MB, freed at once: from now on glibc would keep as much
before, arrays, small = megabytes(), [], []
for _ in range(10):
    arrays.append(np.ones(10 << 17))
    small.append(bytearray(200_000))  # larger than a hole of the heap: after the array
del arrays
print(megabytes() - before)
"""


def test_memory_of_large_arrays_is_returned_although_small_ones_live() -> None:
    for call, is_kept in (("", True), ("keep_little_memory()", False)):
        script = KEPT_MB.format(call=call)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
        assert (float(done.stdout) > 50) == is_kept


ARENAS = """
import ctypes, threading
from tidewise.process_setup import NUM_ARENAS, keep_little_memory

{call}
num, kept = 4 * NUM_ARENAS, []
barrier = threading.Barrier(num + 1)

def allocate():
    kept.append([bytearray(1000) for _ in range(100)])
    barrier.wait()

for _ in range(num):
    threading.Thread(target=allocate).start()
barrier.wait()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(None)
"""


def test_threads_share_few_arenas() -> None:
    nums = []
    for call in ("", "keep_little_memory()"):
        script = [sys.executable, "-c", ARENAS.format(call=call)]
        done = subprocess.run(script, capture_output=True, text=True, check=True, timeout=60)
        nums.append(done.stdout.count("<heap nr="))
    assert nums[0] > NUM_ARENAS >= nums[1] > 0


def test_the_log_format_is_text_unless_json_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = logging.StreamHandler(StringIO())
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    use_log_format("text")
    assert handler.formatter is None
    use_log_format("json")
    assert isinstance(handler.formatter, JsonFormatter)


class Node:
    """An object that refers to itself."""

    def __init__(self) -> None:
        self.itself = self


def test_freeze_gc_spares_what_is_alive_and_makes_collections_rare() -> None:
    before = gc.get_threshold()
    try:
        garbage = weakref.ref(Node())
        freeze_gc()
        assert garbage() is None
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] == YOUNG_OBJECTS
        later = weakref.ref(Node())
        gc.collect()
        assert later() is None
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


SLICES = """
import ctypes, struct, threading
from tidewise.process_setup import ask_for_short_slices

GETATTR = {"x86_64": 315, "aarch64": 275}

def slice_ns(thread):
    attributes = ctypes.create_string_buffer(48)
    assert ctypes.CDLL(None).syscall(GETATTR[__import__("platform").machine()], thread, attributes, 48, 0) == 0
    return struct.unpack_from("=IIQiIQ", attributes.raw)[5]

stop = threading.Event()
before = threading.Thread(target=stop.wait)
before.start()
ask_for_short_slices()
after = threading.Thread(target=stop.wait)
after.start()
print(*(slice_ns(thread.native_id) for thread in (threading.main_thread(), before, after)))
stop.set()
"""


@pytest.mark.skipif(LINUX < (6, 12), reason="needs Linux 6.12, which has slices of a thread's own")
def test_all_threads_get_short_slices() -> None:
    done = subprocess.run([sys.executable, "-c", SLICES], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "100000 100000 100000\n"
