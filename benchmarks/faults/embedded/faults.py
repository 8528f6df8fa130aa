"""Faults drawn at random in kind, place and time, alone or in pairs."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

from benchmarks.faults.embedded.server import SupervisedServer, kill
from benchmarks.faults.embedded.shop_operator import ShopOperator

EARLIEST_S, LATEST_S = -240.0, 3600.0  # a wrong clock; events may be five minutes ahead of it
LONGEST_SYNC_S = 0.5  # what a slow disk adds to each wait for it
LONGEST_DELAY_S, LONGEST_GAP_S, LONGEST_PAUSE_S = 1.5, 0.5, 3.0
PAIRS = 0.3
KILLED = (("api", 8), ("command", 8), ("monitor", 2), ("supervisor", 2))
SUSPENDED = (("api", 4), ("command", 2), ("supervisor", 1))
KINDS = {"kill": 6, "suspend": 3, "full disk": 1, "wrong clock": 1, "slow disk": 1}
LASTING = ("full disk", "wrong clock", "slow disk")


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault. `kind`: of `KINDS`. `target` of "kill" and "suspend": a role, or "command". `pause_s`: until it ends."""

    kind: str
    target: str
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Incident:
    """One or two faults: the first after `delay_s`, the second `gap_s` later."""

    faults: tuple[Fault, ...]
    delay_s: float
    gap_s: float

    @property
    def name(self) -> str:
        """For reports."""
        return " + ".join(f"{fault.kind} {fault.target}".strip() for fault in self.faults)


def drawn(rng: random.Random, *, without: Collection[str] = ()) -> Incident:
    """The next incident, without kinds that this machine cannot cause."""
    kinds = {kind: weight for kind, weight in KINDS.items() if kind not in without}
    faults = tuple(_fault(rng, kinds) for _ in range(2 if rng.random() < PAIRS else 1))
    return Incident(faults, rng.uniform(0.0, LONGEST_DELAY_S), rng.uniform(0.0, LONGEST_GAP_S))


def _fault(rng: random.Random, kinds: Mapping[str, int]) -> Fault:
    kind = rng.choices(tuple(kinds), tuple(kinds.values()))[0]
    if kind in LASTING:
        return Fault(kind, "", rng.uniform(0.2, LONGEST_PAUSE_S))
    targets, weights = zip(*(KILLED if kind == "kill" else SUSPENDED), strict=True)
    return Fault(kind, rng.choices(targets, weights)[0], rng.uniform(0.2, LONGEST_PAUSE_S))


def cause(incident: Incident, server: SupervisedServer, operator: ShopOperator, rng: random.Random) -> str:
    """Cause the faults, and end those that last; returns what they hit."""
    time.sleep(incident.delay_s)
    hit, ends = [], []
    for fault in incident.faults:
        name, end = _cause(fault, server, operator, rng)
        hit.append(name)
        ends.append((time.monotonic() + fault.pause_s, end))
        time.sleep(incident.gap_s if len(incident.faults) > 1 else 0.0)
    for end_s, end in sorted(ends, key=lambda pair: pair[0]):
        if end is not None:
            time.sleep(max(0.0, end_s - time.monotonic()))
            end()
    return " + ".join(hit)


def _cause(
    fault: Fault, server: SupervisedServer, operator: ShopOperator, rng: random.Random
) -> tuple[str, Callable[[], object] | None]:
    """What was hit, and how the fault ends."""
    if fault.kind in LASTING:
        lasting = _lasting(fault.kind, server, rng)
        lasting.__enter__()
        return fault.kind, lambda: lasting.__exit__(None, None, None)
    if fault.target == "command":
        found = operator.command()
        if found is None:
            return f"{fault.kind} no command", None
        name, pid = found
    else:
        name, pids = fault.target, server.processes(fault.target)
        if not pids:  # it is starting after the fault before
            return f"{fault.kind} no {name}", None
        pid = rng.choice(pids)
    if fault.kind == "kill":
        kill(pid)
        return f"kill {name}", None
    _signal(pid, signal.SIGSTOP)
    return f"suspend {name}", lambda: _signal(pid, signal.SIGCONT)


def _lasting(kind: str, server: SupervisedServer, rng: random.Random) -> AbstractContextManager[None]:
    if kind == "full disk":
        return server.full_disk()
    if kind == "slow disk":
        return server.slow_disk(rng.uniform(0.0, LONGEST_SYNC_S))
    return server.wrong_clock(rng.uniform(EARLIEST_S, LATEST_S))


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
