"""What the operations page tells an operator to type works on a real data folder."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from pages import page

from core.events.history import WindowShape
from core.events.interactions import EventTypes, Interaction
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import StreamSource
from core.records.stored import DeadLetter
from storage import open_store

NOW_MS = 1_700_000_000_000
STREAM, PARTITION = "interactions", 0


def typed(program: str, *, with_text: str = "") -> list[list[str]]:
    """The page's commands of one program."""
    return [words for words in page("docs/operations.md").commands() if words[0] == program and with_text in words[-1]]


def run_sql(words: list[str], *, folder: Path) -> list[tuple[object, ...]]:
    """`sqlite3 FILE SQL`, through the library: the command need not be here."""
    _, file, statement = words
    with closing(sqlite3.connect(folder / file)) as connection, connection:
        return connection.execute(statement).fetchall()


@pytest.fixture
def folder(sqlite_template: Path, tmp_path: Path) -> Path:
    """A folder whose .tidewise has an event of partition 0 at offset 41, a dead letter, and a model's folder."""
    data = tmp_path / ".tidewise"
    (data / "models" / "m1").mkdir(parents=True)
    shutil.copy(sqlite_template, data / "tidewise.db")
    with closing(open_store(f"sqlite:///{data / 'tidewise.db'}")) as store:
        event = Interaction("e1", "ann", "tent", "click", NOW_MS)
        dead_letter = DeadLetter(STREAM, PARTITION, 41, "time: too late", b'{"user_id": "ben"}', NOW_MS)
        source = StreamSource(STREAM, PARTITION, [40], 40, 41)
        Ingestor(store, types=EventTypes(), shape=WindowShape()).ingest([event], source, dead_letters=[dead_letter])
    return tmp_path


def test_the_line_for_dead_letters_shows_position_reason_and_payload(folder: Path) -> None:
    (show,) = typed("sqlite3", with_text="FROM dead_letters")
    assert run_sql(show, folder=folder) == [(STREAM, PARTITION, 41, "time: too late", '{"user_id": "ben"}')]
