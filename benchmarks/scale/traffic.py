"""Changes of items and events beside the requests, and how soon a change is visible in answers."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from benchmarks.serving import Caller

CHANGES_PER_S = 100
EVENTS_PER_S = 200
BATCH_S = 0.1  # as a shop's back end sends them
CHANGING_ITEMS = 1000
CONNECTIONS_PER_PROCESS = 8  # one of two processes gets none of 16 connections once in 32,768 times
PROBE_TIMEOUT_S = 60.0
WRITTEN = ("item_id", "title", "text", "categories", "attributes", "hidden")  # fields of an item that clients send


def ask_everywhere(port: int, paths: Sequence[str]) -> None:
    """Ask for each path over many connections, so that each process, which gets some of them, has answered each."""
    for _ in range(CONNECTIONS_PER_PROCESS * (os.cpu_count() or 1)):
        caller = Caller(port)
        for path in paths:
            caller.call("GET", path)


@contextmanager
def beside(port: int, users: Sequence[str]) -> Iterator[None]:
    """Send item changes (prices, no texts) and events at their rates until the block ends."""
    page: Any = Caller(port).call("GET", f"/v1/items?limit={CHANGING_ITEMS}")
    items = [_written(item) for item in page["items"]]

    def change(caller: Caller) -> None:
        chosen = random.sample(items, int(CHANGES_PER_S * BATCH_S))
        for item in chosen:
            item["attributes"]["price"] = random.randrange(1000)
        caller.call("POST", "/v1/items", {"items": chosen})

    def post(caller: Caller) -> None:
        events = [
            {"user_id": random.choice(users), "item_id": random.choice(items)["item_id"], "type": "click"}
            for _ in range(int(EVENTS_PER_S * BATCH_S))
        ]
        caller.call("POST", "/v1/interactions", {"events": events})

    stop = threading.Event()
    threads = [threading.Thread(target=_repeat, args=(stop, Caller(port), work)) for work in (change, post)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def visible_after(port: int, users: Sequence[str]) -> list[float]:
    """Seconds from the answer to a PUT until a user's answers agree: hidden items are gone, shown ones are back."""
    caller, seconds = Caller(port), []
    for user in users:
        path = f"/v1/users/{quote(user, safe='')}/recommendations?n=5"
        answer: Any = caller.call("GET", path)
        item = _written(caller.call("GET", _item_path(answer["items"][0]["item_id"])))
        for hidden in (True, False):
            caller.call("PUT", _item_path(item["item_id"]), {**item, "hidden": hidden})
            seconds.append(_until(caller, path, item["item_id"], shown=not hidden))
    return seconds


def _until(caller: Caller, path: str, item_id: str, *, shown: bool) -> float:
    start_s = time.perf_counter()
    while time.perf_counter() - start_s < PROBE_TIMEOUT_S:
        answer: Any = caller.call("GET", path)
        if (item_id in [item["item_id"] for item in answer["items"]]) == shown:
            return time.perf_counter() - start_s
    msg = f"{item_id} was not {'shown' if shown else 'hidden'} within {PROBE_TIMEOUT_S:g} s"
    raise RuntimeError(msg)


def _repeat(stop: threading.Event, caller: Caller, work: Callable[[Caller], None]) -> None:
    while not stop.wait(BATCH_S):
        work(caller)


def _written(item: dict[str, Any]) -> dict[str, Any]:
    return {name: item[name] for name in WRITTEN}


def _item_path(item_id: str) -> str:
    return f"/v1/items/{quote(item_id, safe='')}"
