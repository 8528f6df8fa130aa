"""The command line: `tidewise COMMAND`. Each command lives in `tidewise.commands`."""

from __future__ import annotations

from tidewise.commands import ask, experiments, outcomes, run, scenarios, segments
from tidewise.commands.drift import alarms
from tidewise.commands.evaluation import evaluate
from tidewise.commands.files import data, export, replay
from tidewise.commands.learning import features, learn, models
from tidewise.commands.operation import audit, backup, dead_letters, doctor, keys, offsets, show
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
