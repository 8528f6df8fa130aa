"""The Python of pytest-xdist's processes: each is a fork of one process that has collected the tests.

Run as `python forked_interpreter.py -u -c PROGRAM` by execnet, whose end ends it. The fork server of what tests start
begins at once, so that the product is imported while tests are collected.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from fork_client import NAME, ForkServerClient

SERVER = Path(__file__).with_name("collected_tests.py")


def main() -> int:
    children = ForkServerClient(f"children of {os.getppid()}")
    children.begin()
    environment = os.environ | {NAME: children.name}
    command = {"arguments": sys.argv[-2:], "environment": environment, "folder": os.fspath(Path.cwd())}
    client = ForkServerClient(f"tests of {os.getppid()}", program=SERVER)
    connection, _ = client.request(json.dumps(command).encode(), [0, 1, 2])
    return os.waitstatus_to_exitcode(int.from_bytes(connection.recv(4)))


if __name__ == "__main__":
    sys.exit(main())
