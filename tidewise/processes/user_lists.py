"""The lists of all users, by several processes: each has a snapshot of its own and answers pages of users."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from core.recommendation.requests import RecommendationRequest
from core.recommendation.user_lists import UserPage, lists_of, user_pages
from tidewise.bootstrap import System, open_existing
from tidewise.process_setup import end_with_parent
from tidewise.settings.schema import Settings

AHEAD = 4  # pages per process that are computed before the first of them is written: bounds memory
SMALL = 2_000  # users, below which starting a process takes longer than their answers

Record = dict[str, Any]

_systems: list[System] = []  # of this child process


def user_lists(
    system: System, request: RecommendationRequest, *, num_processes: int, progress: Callable[[int, int], None]
) -> Iterator[Record]:
    """The list of each user in ascending id, all for one time; `progress` gets the users done and their number.

    `system`: with a snapshot; its settings open those of the other processes.
    """
    pages = list(user_pages(system.store))
    if request.at_ms is None:
        request = replace(request, at_ms=system.clock.now_ms())
    num_users, num_done = sum(page.num_users for page in pages), 0
    if num_processes == 1 or num_users < SMALL:
        computed: Iterator[list[Record]] = map(partial(lists_of, system.store, system.recommender, request), pages)
    else:
        computed = _in_processes(system.settings, request, pages, num_processes)
    for records in computed:
        yield from records
        num_done += len(records)
        progress(num_done, num_users)


def _in_processes(
    settings: Settings, request: RecommendationRequest, pages: list[UserPage], num_processes: int
) -> Iterator[list[Record]]:
    """The lists of the pages in their order."""
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that other threads hold
    num_processes = min(num_processes, len(pages))
    with ProcessPoolExecutor(num_processes, context, _start, (settings,)) as pool:
        remaining = iter(pages)
        futures: list[Future[list[Record]]] = [
            pool.submit(_lists_of, request, page) for page in islice(remaining, AHEAD * num_processes)
        ]
        while futures:
            yield futures.pop(0).result()
            futures += [pool.submit(_lists_of, request, page) for page in islice(remaining, 1)]


def _start(settings: Settings) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    end_with_parent()
    system = open_existing(settings, recommends=True)
    system.snapshots.refresh()
    _systems.append(system)


def _lists_of(request: RecommendationRequest, page: UserPage) -> list[Record]:
    return lists_of(_systems[0].store, _systems[0].recommender, request, page)
