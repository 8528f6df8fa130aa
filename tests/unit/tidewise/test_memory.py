"""Garbage collection of long-running processes."""

from __future__ import annotations

import gc
import weakref

from tidewise.memory import freeze_gc


class Node:
    """Something that can be part of a cycle."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_loaded_is_searched_a_last_time_and_what_comes_later_as_ever() -> None:
    try:
        garbage = weakref.ref(Node())
        freeze_gc()
        assert garbage() is None
        assert gc.get_freeze_count() > 0
        later = weakref.ref(Node())
        gc.collect()
        assert later() is None
    finally:
        gc.unfreeze()
