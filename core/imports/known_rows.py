"""The report of an import of items or users: which rows are new, change what is known, or repeat it."""

from __future__ import annotations

from dataclasses import dataclass

from core.imports.event_import import ImportReport


@dataclass(slots=True)
class KnownRowsReport(ImportReport):
    """The result of an import whose rows may change what is known; those that change nothing are duplicates.

    `num_changed`: of the accepted rows those that changed something known; the others are new.
    """

    num_changed: int = 0

    def note_row(self, row: object, known: object) -> None:
        """Count a row, given what was known before it; None: nothing."""
        if row == known:
            self.num_duplicates += 1
        else:
            self.num_accepted += 1
            self.num_changed += known is not None
