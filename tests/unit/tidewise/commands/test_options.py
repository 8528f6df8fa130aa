"""What commands print."""

from __future__ import annotations

import json

import pytest
from rich.table import Table

from tidewise.commands.options import notes, print_json, print_whole, screen


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
