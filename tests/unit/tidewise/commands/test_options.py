"""What commands print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.table import Table

from tidewise.commands.options import as_variables, notes, overrides_of, print_json, print_whole, screen, settings_of


def test_a_table_wider_than_the_terminal_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("arm", "clicks", "revenue")
    name, numbers = "a-long-experiment/" + screen.width * "b", ("1,234,567", "9,876,543.21")
    table.add_row(name, *numbers)
    print_whole(table)
    assert any(all(cell in line for cell in (name, *numbers)) for line in capsys.readouterr().out.splitlines())


HOSTILE = "title\x1b]0;a new window title\x07\x9b31m \u202egnp.exe"


def test_a_title_gives_the_terminal_no_commands(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("title")
    table.add_row(HOSTILE)
    print_whole(table)
    screen.print(HOSTILE, markup=False)
    notes.print(f"error: {HOSTILE}", markup=False)
    print_json({"title": HOSTILE})
    printed = capsys.readouterr()
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(printed.out + printed.err)
    assert json.loads(printed.out.splitlines()[-1]) == {"title": HOSTILE}


def test_a_child_gets_its_parents_flags_by_one_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = ["server.api_key=0123456789abcdef", "events.types.AddToCart.weight=3", "window.size=20"]
    (tmp_path / "key").write_text("weaker than a flag")
    monkeypatch.setenv("TIDEWISE_SERVER__API_KEY_FILE", str(tmp_path / "key"))
    parent = settings_of(tmp_path, None, given, server__port=0)
    for name, value in as_variables(overrides_of(tmp_path, given, server__port=0)).items():
        monkeypatch.setenv(name, value)
    assert settings_of(None, None, None) == parent
    assert settings_of(None, None, ["window.size=30"]).window.size == 30
