"""The table of a tuning: what was tried on a shop's newest events, and what was kept."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table

from tidewise.commands.learning.verdicts import MIN_WIDTH, interval_cells
from tidewise.commands.options import PrintableConsole, screen
from tidewise.training.recipe import text_of

if TYPE_CHECKING:
    from tidewise.training.tuning import Tuning


def print_tuning(tuning: Tuning) -> None:
    """A tuning for people."""
    table = Table("", "NDCG@10", "difference to the best before", "95%", "epochs", "seconds", "", box=None)
    table.title = f"On {tuning.events:,} of the newest events before those of the gate, by {tuning.users:,} users"
    table.title_justify = "left"
    for attempt in tuning.attempts:
        difference = interval_cells(asdict(attempt.difference), "+.4f") if attempt.difference else ("", "")
        kept = "kept" if attempt.kept and attempt.change else ""
        table.add_row(
            attempt.name, f"{attempt.ndcg.mean:.4f}", *difference, str(attempt.epochs), f"{attempt.seconds:.0f}", kept
        )
    PrintableConsole(width=max(screen.width, MIN_WIDTH)).print(table)
    if tuning.untried:
        untried = "; ".join(map(text_of, tuning.untried))
        screen.print(f"No time for: {untried} (--tune-minutes).", markup=False, highlight=False, soft_wrap=True)
    chosen = text_of(tuning.choices)
    sentence = f"Full trainings use {chosen} from now on." if chosen else "No change was better: the settings stay."
    screen.print(sentence, markup=False, highlight=False, soft_wrap=True)
