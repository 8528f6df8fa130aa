"""The command line: `tidewise COMMAND`. Each command lives in `tidewise.commands`."""

from __future__ import annotations

from tidewise.commands import (
    ask,
    audit,
    backup,
    data,
    dead_letters,
    doctor,
    evaluate,
    experiments,
    export,
    features,
    keys,
    learn,
    models,
    offsets,
    outcomes,
    replay,
    run,
    scenarios,
    segments,
    show,
)
from tidewise.commands.drift import alarms
from tidewise.shell import new_app
from tidewise.shell import run as run_app

app = new_app()

for module in (
    data,
    replay,
    features,
    learn,
    evaluate,
    experiments,
    run,
    ask,
    alarms,
    outcomes,
    models,
    scenarios,
    segments,
    dead_letters,
    offsets,
    show,
    doctor,
    export,
    backup,
    keys,
    audit,
):
    module.register(app)


def main() -> None:
    """Run the command line with all commands."""
    run_app(app)
