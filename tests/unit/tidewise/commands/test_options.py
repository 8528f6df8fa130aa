"""What commands print."""

from __future__ import annotations

import pytest
from rich.table import Table

from tidewise.commands.options import print_whole, screen


def test_a_table_wider_than_the_terminal_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("arm", "clicks", "revenue")
    name, numbers = "a-long-experiment/" + screen.width * "b", ("1,234,567", "9,876,543.21")
    table.add_row(name, *numbers)
    print_whole(table)
    assert any(all(cell in line for cell in (name, *numbers)) for line in capsys.readouterr().out.splitlines())
