"""`tidewise experiments`: users split into arms, results that may be read at any time, and stopping."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from core.definitions.kinds import EXPERIMENT, delete_definition
from core.experiments.experiment import Experiment
from core.experiments.manage import save_experiment, stop_experiment
from core.experiments.report import read_results
from core.experiments.results import ArmOutcome, sums_of
from tidewise.bootstrap import open_existing
from tidewise.commands.definitions import change_line, print_change, read_definition
from tidewise.commands.experiments.estimate import estimate
from tidewise.commands.experiments.plan import plan
from tidewise.commands.operation.audit import audited
from tidewise.commands.options import Config, Data, Json, Set, notes, print_json, screen, settings_of
from tidewise.process_setup import account

app = typer.Typer(no_args_is_help=True, help="Plan, store, stop or delete experiments, and show their results.")

Name = Annotated[str, typer.Argument(help="The experiment's name.")]


def register(parent: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("list")(list_)
    app.command("put")(put)
    app.command("results")(results)
    app.command("plan")(plan)
    app.command("estimate")(estimate)
    app.command("stop")(stop)
    app.command("delete")(delete)
    parent.add_typer(app, name="experiments")


def list_(data: Data = None, config: Config = None, set_: Set = None, json_: Json = False) -> None:
    """List the experiments, by name."""
    with open_existing(settings_of(data, config, set_)) as system:
        system.experiments.follow()
        experiments = system.experiments.all()
        now_ms = system.clock.now_ms()
    if json_:
        from serving.schemas.experiments import experiment_out

        print_json({"experiments": [experiment_out(named, now_ms=now_ms) for named in experiments.values()]})
        return
    for name, named in experiments.items():
        line = f"{name:<20}  {named.parsed.state_at(now_ms):<9}  {named.stored and change_line(named.stored)}"
        screen.print(line, markup=False, highlight=False, soft_wrap=True)
    if not experiments:
        notes.print("No experiments yet; `tidewise experiments put NAME FILE` stores one.")


def put(
    name: Name,
    file: Annotated[Path, typer.Argument(help="A file with the definition, .json or .toml; - reads JSON from stdin.")],
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Store an experiment; it starts now unless the definition has a start."""
    definition = read_definition(file)
    with open_existing(settings_of(data, config, set_)) as system:
        system.scenarios.follow()
        store, known = audited(system, "store experiment", name), system.scenarios.all()
        change = save_experiment(store, name, definition, author=account(), scenarios=known, clock=system.clock)
        print_change(change, json_)


def results(name: Name, data: Data = None, config: Config = None, set_: Set = None, json_: Json = False) -> None:
    """Compare the arms with the control; the intervals allow to look at any time."""
    settings = settings_of(data, config, set_)
    with open_existing(settings) as system:
        system.experiments.follow()
        experiment = system.experiments.named(name).parsed
        report = read_results(system.store, experiment, proven_impressions=settings.outcomes.impressions == "client")
        now_ms = system.clock.now_ms()
    if json_:
        from serving.schemas.experiments import results_out

        print_json(results_out(experiment, report, now_ms=now_ms))
        return
    for arm in report.arms:
        screen.print(_arm_line(experiment, arm), markup=False, highlight=False, soft_wrap=True)
    if report.ratio.is_mismatch:
        notes.print("The numbers of users do not fit the shares: some arm loses users, so do not compare the arms.")


def stop(name: Name, data: Data = None, config: Config = None, set_: Set = None, json_: Json = False) -> None:
    """End an experiment now; its results stay."""
    with open_existing(settings_of(data, config, set_)) as system:
        store = audited(system, "stop experiment", name)
        print_change(stop_experiment(store, name, author=account(), clock=system.clock), json_)


def delete(name: Name, data: Data = None, config: Config = None, set_: Set = None, json_: Json = False) -> None:
    """Delete an experiment."""
    with open_existing(settings_of(data, config, set_)) as system:
        store = audited(system, "delete experiment", name)
        print_change(delete_definition(store, EXPERIMENT, name, author=account(), clock=system.clock), json_)


def _arm_line(experiment: Experiment, arm: ArmOutcome) -> str:
    sums = sums_of(arm.sums, experiment.metric)
    ratio = "-" if math.isnan(sums.ratio) else f"{sums.ratio:.4f}"  # without answers
    line = f"{arm.name:<20}  {sums.users:>9,} users  {experiment.metric} {ratio}"
    comparison = arm.comparisons.get(experiment.metric)
    if comparison is None:
        return f"{line}  control"
    if comparison.difference is None:
        return f"{line}  too few users yet"
    low, high = comparison.difference.low, comparison.difference.high
    return f"{line}  {comparison.difference.mean:+.4f} [{low:+.4f}, {high:+.4f}]  {comparison.judgement}"
