"""Which command is in which module, without importing the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tidewise.cli import MODULES, app, commands, commands_in
from tidewise.demo.simulator import NUM_USERS
from tidewise.unknown_commands import COMMANDS, REQUESTS

API_PAGE = Path(__file__).parents[3] / "docs" / "api.md"


@pytest.mark.parametrize("module", MODULES)
def test_a_module_registers_the_commands_that_are_listed(module: str) -> None:
    assert list(commands_in(module)) == MODULES[module]


def test_help_lists_every_command_in_order() -> None:
    lines = CliRunner().invoke(app, ["--help"]).output.partition("Commands:")[2].splitlines()
    assert [line.split()[0] for line in lines if line] == [name for names in MODULES.values() for name in names]


def test_an_unknown_command_is_an_error_with_a_suggestion() -> None:
    result = CliRunner().invoke(app, ["recomend"])
    assert result.exit_code == 2
    assert "Did you mean 'recommend'?" in result.output


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ("merge", "a request to a running server: POST /v1/users/{user_id}/merge"),
        ("hide", 'PATCH /v1/items/{item_id} {"hidden": true}'),
        ("promote", "Use `tidewise models promote`."),
        ("start", "Use `tidewise up`."),
    ],
)
def test_what_does_the_work_of_a_missing_command_is_told(typed: str, advice: str) -> None:
    result = CliRunner().invoke(app, [typed])
    assert result.exit_code == 2
    assert advice in result.output


def test_the_requests_that_are_told_are_documented() -> None:
    documented = {line.removeprefix("### ") for line in API_PAGE.read_text().splitlines()}
    assert {f"{method} {path}" for method, path, _ in REQUESTS.values()} <= documented
    assert not commands.keys() & (REQUESTS.keys() | COMMANDS.keys())


def test_the_demo_has_the_users_of_the_simulator_by_default() -> None:
    (users,) = [option for option in commands["demo"].params if option.name == "users"]
    assert users.default == NUM_USERS
