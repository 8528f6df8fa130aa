"""`tidewise dead-letters` over a real database: list, retry, discard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core.errors import InvalidInput
from core.ingestion.sources import RequestSource
from core.records.stored import DeadLetter
from tidewise.bootstrap import open_system
from tidewise.cli import app
from tidewise.settings.schema import load_settings

TIME_MS = 1_700_000_000_000
PAYLOADS = (
    b'{"user_id": "ann", "item_id": "tent", "type": "pdp_view", "time": 1700000000000}',
    b"\xff\xfe no JSON at all",
    b'{"user_id": "bob", "item_id": "tent", "type": "pdp_view", "time": 1700000000000}',
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    settings = load_settings(overrides={"data.folder": str(tmp_path)}, environment={})
    dead_letters = [
        DeadLetter("interactions", 0, n, f"reason {n}", payload, TIME_MS) for n, payload in enumerate(PAYLOADS)
    ]
    with open_system(settings) as system:
        system.ingestor.ingest([], RequestSource("a worker"), dead_letters=dead_letters)
    return tmp_path


def run(folder: Path, *arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["dead-letters", *arguments, "--data", str(folder), "--json"])
    if result.exception:
        raise result.exception
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def test_dead_letters_are_listed_newest_first(folder: Path) -> None:
    report = run(folder, "list", "--limit", "2")
    assert report["total"] == 3
    newest, second = report["dead_letters"]
    assert (newest["source"], newest["partition"], newest["offset"], newest["reason"]) == (
        "interactions",
        0,
        2,
        "reason 2",
    )
    assert json.loads(newest["payload"])["user_id"] == "bob"
    assert set(second) - set(newest) == {"payload_base64"}


def test_a_retry_after_correcting_the_settings_applies_events(folder: Path) -> None:
    (folder / "tidewise.toml").write_text('[kafka.types]\npdp_view = "view"\n')
    report = run(folder, "retry", "--all")
    assert (report["retried"], report["succeeded"], report["accepted"]) == (3, 2, 2)
    [remaining] = run(folder, "list")["dead_letters"]
    assert remaining["retries"] == 1
    assert remaining["reason"].startswith("value: wanted JSON in UTF-8")
    assert run(folder, "retry", "--all")["accepted"] == 0


def test_a_retry_without_corrections_keeps_every_dead_letter(folder: Path) -> None:
    report = run(folder, "retry", "--all")
    assert (report["succeeded"], len(report["failed"])) == (0, 3)
    assert "unknown event type" in report["failed"][0]["reason"]


def test_selected_dead_letters_are_discarded(folder: Path) -> None:
    keys = [row["key"] for row in run(folder, "list")["dead_letters"]]
    assert run(folder, "discard", str(keys[0]), str(keys[1])) == {"discarded": 2}
    assert [row["key"] for row in run(folder, "list")["dead_letters"]] == keys[2:]


@pytest.mark.parametrize("command", ["retry", "discard"])
@pytest.mark.parametrize("arguments", [(), ("1", "--all")])
def test_retry_and_discard_require_keys_or_all(folder: Path, command: str, arguments: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput, match="or --all, and not both"):
        run(folder, command, *arguments)


def test_each_dead_letter_is_printed_with_its_position_and_reason(folder: Path) -> None:
    result = CliRunner().invoke(app, ["dead-letters", "list", "--data", str(folder)])
    assert "interactions/0@2\n    reason 2\n" in result.output
    assert "3 of 3 dead letters" in result.output
