"""Imports everything that was sent again, as an operator would after a crash; the import breaks once on its way."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import UTC
from pathlib import Path

import pytest
from services.small_shop import settings_in
from services.traffic import Event

from core.clock import WallClock
from core.events.interactions import EventTypes
from core.imports.event_import import import_history
from core.imports.event_rows import HistoryColumns, RowRules
from core.imports.item_import import ItemColumns, import_items
from storage.files import open_rows
from tidewise.bootstrap import open_system

FIELDS = ("user_id", "item_id", "time", "type", "event_id")
BATCH_ROWS = 64


class Broken(Exception):
    """Ends an import between two of its transactions."""


def import_again(shop: Path, events: Iterable[Event], item_ids: Iterable[str]) -> None:
    """Import files of these events and items while no server runs: first a part of them, then everything."""
    event_file, item_file = shop / "sent.csv", shop / "items.csv"
    with event_file.open("w", newline="") as file:
        rows = csv.DictWriter(file, FIELDS)
        rows.writeheader()
        rows.writerows({name: event[name] for name in FIELDS} for event in events)
    item_file.write_text("\n".join(["item_id", *item_ids]) + "\n")
    with pytest.raises(Broken):
        _import(shop, event_file, item_file, breaks=True)
    _import(shop, event_file, item_file, breaks=False)


def _import(shop: Path, event_file: Path, item_file: Path, *, breaks: bool) -> None:
    def progress(_done: int, _total: int | None) -> None:
        if breaks:
            raise Broken

    now_ms = WallClock().now_ms()
    columns = HistoryColumns(type="type", event_id="event_id")
    rules = RowRules(
        columns=columns,
        time_unit="ms",
        types=EventTypes(),
        default_type="view",
        latest_ms=now_ms,
        zone=UTC,
        type_names={},
    )
    with open_system(settings_in(shop)) as system:
        with open_rows(item_file, None) as reader:
            import_items(reader, system.store, columns=ItemColumns(), now_ms=now_ms, keep_attributes=True)
        with open_rows(event_file, None) as reader:
            import_history(
                reader, system.ingestor, rules=rules, now_ms=now_ms, progress=progress, batch_rows=BATCH_ROWS
            )
