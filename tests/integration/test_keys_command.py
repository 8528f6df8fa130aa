"""`tidewise keys` on a database, and that no secret is written to it."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from tidewise.cli import app


def run(folder: Path, *words: str) -> str:
    outcome = CliRunner().invoke(app, ["keys", *words, "--data", str(folder)], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def test_keys_are_made_listed_rotated_and_revoked(tmp_path: Path) -> None:
    first = run(tmp_path, "create", "shop", "--scope", "write", "--max-per-second", "5").strip()
    second = json.loads(run(tmp_path, "rotate", "shop", "--overlap-hours", "1", "--json"))["secret"]
    assert first != second
    assert [key["name"] for key in json.loads(run(tmp_path, "list", "--json"))] == ["shop", "shop"]
    assert run(tmp_path, "list").startswith("shop: write, 5/s, made ")
    run(tmp_path, "create", "page", "--scope", "read", "--scenario", "home", "--scenario", "cart")
    assert run(tmp_path, "list").startswith("page: read, scenarios home, cart, made ")
    run(tmp_path, "revoke", "page")
    run(tmp_path, "revoke", "shop")
    assert json.loads(run(tmp_path, "list", "--json")) == []


def test_no_secret_is_in_the_database(tmp_path: Path) -> None:
    secret = run(tmp_path, "create", "shop", "--scope", "read").strip().encode()
    files = [path.read_bytes() for path in tmp_path.iterdir()]
    assert any(b"shop" in content for content in files)
    assert not any(secret in content for content in files)
