"""The command line: `tidewise COMMAND`. Each command lives in `tidewise.commands`.

A command's module is imported, and its options are built, when the command is run or all are listed: this halves the
CPU time of a start, so a killed process is back sooner.
"""

from __future__ import annotations

from collections import UserDict
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperGroup

from tidewise.shell import new_app
from tidewise.shell import run as run_app
from tidewise.unknown_commands import advice

# The modules of `tidewise.commands`, in the order of the help, with the commands that each registers.
MODULES = {
    "files.data": ["import"],
    "files.replay": ["replay"],
    "learning.features": ["features"],
    "learning.learn": ["train", "learn"],
    "evaluation.evaluate": ["evaluate"],
    "experiments.manage": ["experiments"],
    "run": ["up", "serve", "worker", "demo"],
    "ask": ["recommend", "interests"],
    "drift.alarms": ["monitor", "drift"],
    "outcomes": ["outcomes"],
    "learning.models": ["models"],
    "scenarios": ["scenarios"],
    "segments": ["segments"],
    "operation.dead_letters": ["dead-letters"],
    "operation.offsets": ["offsets"],
    "operation.show": ["rebuild", "migrate", "settings"],
    "operation.doctor": ["doctor"],
    "files.export": ["export"],
    "operation.backup": ["backup", "restore", "verify"],
    "operation.keys": ["keys"],
    "operation.audit": ["audit"],
}


class Commands(UserDict[str, Any]):
    """Commands by name; the value of one that nobody has asked for is the name of its module."""

    def __getitem__(self, name: str) -> Any:
        command = super().__getitem__(name)
        if not isinstance(command, str):
            return command
        self.data |= commands_in(command)
        return self.data[name]


def commands_in(module: str) -> dict[str, Any]:
    """The commands that a module of `tidewise.commands` registers, by name."""
    app = new_app()
    import_module(f"tidewise.commands.{module}").register(app)
    return dict(cast(TyperGroup, typer.main.get_command(app)).commands)


commands = Commands({name: module for module, names in MODULES.items() for name in names})


class Group(TyperGroup):
    """The group of all commands."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = commands

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command of a command line; what does its work is told where there is no such command."""
        if args and args[0] not in commands and (instead := advice(args[0], commands)):
            ctx.fail(f"No such command {args[0]!r}. {instead}")
        return super().resolve_command(ctx, args)


app = new_app(Group)


def main() -> None:
    """Run the command line with all commands."""
    run_app(app)
