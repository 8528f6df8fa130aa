"""psycopg's pipeline: statements are sent without waiting for the results of those before.

A Sync follows each statement and is not waited for either. Without it, the server would call the connection active
between two statements: a process that is suspended there would keep its locks for ever, instead of ten seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Pipeline:
    """The statements in flight on a connection of the driver. Its methods raise the driver's error of the first."""

    def __init__(self, connection: Any, pipeline: Any) -> None:
        self._connection = connection
        self._pipeline = pipeline

    def end_statement(self) -> None:
        """Send what has been executed, without waiting for it."""
        self._pipeline._enqueue_sync()  # noqa: SLF001 - the public `sync` waits
        with self._connection.lock:
            self._connection.wait(self._pipeline._communicate_gen())  # noqa: SLF001

    def wait(self) -> None:
        """Wait for the results of all statements."""
        self._pipeline.sync()


@contextmanager
def pipeline_on(connection: Any) -> Iterator[Pipeline]:
    """A block of pipelined statements on a connection of the driver; waits for all at its end."""
    with connection.pipeline() as pipeline:
        statements = Pipeline(connection, pipeline)
        yield statements
        statements.wait()  # raises the first error: the end of the driver's block raises the last
