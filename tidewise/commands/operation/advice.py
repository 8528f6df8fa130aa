"""What a newcomer should know about a database: its catalogue and model, each with the next command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from core.errors import CheckpointError
from core.ports.store import ReadTransaction
from tidewise.bootstrap import load_model
from tidewise.commands.options import notes
from tidewise.settings.schema import Settings

SHOWN_ITEMS = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One checked part. `problem`: what is wrong; `command`: what to run or set next."""

    part: str
    text: str
    problem: bool = False
    command: str = ""

    def __str__(self) -> str:
        return f"{self.part}: {self.text}" + (f"; next: {self.command}" if self.command else "")


def warn(findings: Iterable[Finding]) -> None:
    """Print the problems among the findings as remarks."""
    for finding in findings:
        if finding.problem:
            notes.print(f"warning: {finding}", markup=False, highlight=False, soft_wrap=True)


def catalogue_findings(read: ReadTransaction, settings: Settings) -> Iterator[Finding]:
    """Whether the items of events can be recommended."""
    every = read.items.catalogue(include_uncatalogued=True)
    if settings.items.catalogue == "none":
        yield Finding("catalogue", f"{int(every.listed.sum()):,} items (items.catalogue = none: all with an event)")
        return
    listed = read.items.catalogue().listed
    uncatalogued = np.flatnonzero(every.listed & ~listed)
    add = "`tidewise import --items FILE`, or `--set items.catalogue=none` to recommend every item that has events"
    if not listed.any():
        text = f"empty, so nothing can be recommended; {len(uncatalogued):,} items are known from events"
        yield Finding("catalogue", text, problem=True, command=add)
        return
    yield Finding("catalogue", f"{int(listed.sum()):,} items")
    if len(uncatalogued):
        examples = ", ".join(every.item_ids[row] for row in uncatalogued[:SHOWN_ITEMS].tolist())
        text = f"{len(uncatalogued):,} items of events are not in it and are not recommended, such as {examples}"
        yield Finding("catalogue", text, problem=True, command=add)


def model_findings(read: ReadTransaction, settings: Settings) -> Iterator[Finding]:
    """Whether a model serves and can be loaded."""
    champion, num_events = read.models.champion(), read.totals().events
    if champion is None:
        wanted = settings.train.min_events
        if num_events < wanted:
            yield Finding("model", f"none; counts and popularity rank. A training needs some {wanted:,} events")
        else:
            yield Finding("model", "none; counts and popularity rank", problem=True, command="`tidewise train`")
        return
    try:
        load_model(settings, champion)
    except CheckpointError as error:
        yield Finding("model", str(error), problem=True)
    else:
        yield Finding("model", f"{champion.version} serves")
