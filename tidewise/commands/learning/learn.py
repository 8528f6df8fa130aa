"""`tidewise train` and `tidewise learn`: models from the events in the database."""

from __future__ import annotations

from typing import Annotated

import typer

from core.errors import TrainingProcessLost
from core.events.interactions import check_time_ms
from core.learn.cycle import Force
from tidewise.bootstrap import open_existing
from tidewise.commands.learning.tuning_table import print_tuning
from tidewise.commands.learning.verdicts import print_training, training_json
from tidewise.commands.options import (
    Config,
    Data,
    Json,
    Set,
    as_arguments,
    as_variables,
    finite,
    notes,
    overrides_of,
    print_json,
    settings_of,
)
from tidewise.process_setup import account, end_with_parent, use_log_format, work_at_low_priority
from tidewise.settings.schema import load_settings
from tidewise.training.processes import assist_training, rank
from tidewise.training.progress import TrainingBar

EXIT_LOST = 3  # another process of the same training ended first
LOW_PRIORITY = 10  # niceness: requests come first


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("train")(train)
    app.command("learn")(learn)


def train(
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    before: Annotated[
        int | None,
        typer.Option(help="Train on events before this time (ms since 1970), and compare on those after it."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Promote the model even if the gate refuses it.")] = False,
    tunes: Annotated[
        bool, typer.Option("--tune", help="First try variants of the settings, and keep the best for full trainings.")
    ] = False,
    tune_minutes: Annotated[float, typer.Option(min=0.1, callback=finite, help="Minutes for --tune, in all.")] = 10.0,
    json_: Json = False,
) -> None:
    """Train a model, compare it with what serves and with counting, and promote it if it is not worse.

    The newest events are held out from training for the comparison.
    """
    from tidewise.training.learning import train_and_judge
    from tidewise.training.tuning import tune

    if rank() > 0:
        _assist()
        return
    settings = settings_of(data, config, set_)
    before_ms = None if before is None else check_time_ms("--before", before)
    by_operator = Force(f"{account()} by command", "tidewise train --force") if force else None
    tuning = None
    if tunes:
        with open_existing(settings) as system, TrainingBar() as bar:
            tuning = tune(system, minutes=tune_minutes, progress=bar.show, report=bar.say, before_ms=before_ms)
        if not json_:
            print_tuning(tuning)
    with open_existing(settings) as system, TrainingBar(announces=True) as bar:
        bar.say(f"A training takes at most {settings.train.max_minutes:g} minutes (train.max_minutes).")
        training = train_and_judge(system, progress=bar.show, report=bar.say, before_ms=before_ms, force=by_operator)
    if json_:
        print_json({**training_json(training), "tuning": tuning and tuning.to_json()})
    else:
        print_training(training)


def _assist() -> None:
    """Be one of the other processes of a training; what ended process 0 is said there."""
    try:
        assist_training()
    except TrainingProcessLost:
        raise typer.Exit(EXIT_LOST) from None


def learn(
    data: Data = None,
    config: Config = None,
    once: Annotated[bool, typer.Option("--once", help="Run one training if it is due, then end.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Fine-tune now, even if it is not due.")] = False,
    retrain: Annotated[bool, typer.Option("--retrain", help="As --now, but retrain from scratch.")] = False,
    as_child: Annotated[
        bool,
        typer.Option(
            "--child", help="For `tidewise up`, which starts it so: run at low priority, end with the parent."
        ),
    ] = False,
    set_: Set = None,
) -> None:
    """Start a trainer: fine-tune when due, judge, promote.

    One of several trainers is active. With --now, the active one does the training. Ctrl-C ends it.
    """
    from tidewise.processes.trainer import request_job, run_due_job, run_trainer

    overrides = overrides_of(data, set_)
    settings = load_settings(config=config, overrides=overrides)
    if now or retrain:
        request_job(settings, kind="retrain" if retrain else "fine-tune")
    if not once and not now and not retrain:
        run_trainer(settings, arguments=as_arguments(config), variables=as_variables(overrides))
        return
    if as_child:
        use_log_format(settings.log.format)
        work_at_low_priority(LOW_PRIORITY)
        end_with_parent()
    with TrainingBar() as bar:
        result = run_due_job(settings, progress=bar.show)
    notes.print(result, markup=False, highlight=False, soft_wrap=True)
