"""Work in a thread until it is stopped, which raises what went wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager


class StoppableWork:
    """Work of one thread: `work` returns soon after `stopping` is set."""

    def __init__(self, name: str) -> None:
        self.stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name)

    def start(self) -> None:
        """Start working."""
        self._thread.start()

    def stop(self) -> None:
        """End after what is being done now; raises what went wrong."""
        self.stopping.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def work(self) -> None:
        """What the thread does."""
        raise NotImplementedError

    def _run(self) -> None:
        try:
            self.work()
        except BaseException as error:  # raised by `stop`
            self._failure = error


@contextmanager
def working(workers: Sequence[StoppableWork]) -> Iterator[None]:
    """Let them work while the block runs; its end raises what went wrong."""
    for worker in workers:
        worker.start()
    with ExitStack() as stack:
        for worker in workers:
            stack.callback(worker.stop)
        yield
