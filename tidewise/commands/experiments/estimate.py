"""`tidewise experiments estimate`: what a scenario would have earned, from the answers of an exploring one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from core.errors import InvalidInput
from core.experiments.off_policy import OffPolicyEstimate
from core.experiments.replayed_log import ReplayedLog
from tidewise.bootstrap import open_existing
from tidewise.commands.options import Config, Data, Json, Set, notes, print_json, screen, settings_of

MIN_COVERAGE = 0.8


def estimate(
    name: Annotated[str, typer.Argument(help="The scenario to estimate, or an experiment: the scenarios of its arms.")],
    logged: Annotated[
        str | None,
        typer.Option("--on", help="The exploring scenario that answered (default: the experiment's)."),
    ] = None,
    answers: Annotated[int, typer.Option(help="At most so many of the newest answers.", min=100)] = 5_000,
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Estimate from answers with exploration the clicks per answer that a scenario would have had."""
    settings = settings_of(data, config, set_)
    with open_existing(settings, recommends=True) as system:
        system.snapshots.refresh()
        for followed in (system.scenarios, system.experiments, system.segments):
            followed.follow()
        known = system.experiments.all()
        if logged is None and name not in known:
            msg = f"--on: wanted the scenario whose answers are read, because {name!r} is no experiment, got none"
            raise InvalidInput(msg)
        experiment = known[name].parsed if name in known and logged is None else None
        names = [name] if experiment is None else [arm.scenario for arm in experiment.arms if arm.scenario]
        on = experiment.scenario if experiment is not None else logged or ""
        exclude_seen = settings.recommend.exclude_seen
        logs = {
            each: system.replay.of(
                system.scenarios.get(each), logged=on, max_answers=answers, exclude_seen=exclude_seen
            )
            for each in dict.fromkeys(names)
        }
    estimates = {each: (log, log.estimates()) for each, log in logs.items()}
    if json_:
        document = [
            {"scenario": each, "users": log.num_users, "logged": asdict(log.logged())["ips"], **asdict(values)}
            for each, (log, values) in estimates.items()
        ]
        print_json({"on": on, "estimates": document})
        return
    for each, (log, values) in estimates.items():
        _print_estimates(each, log, values)


def _print_estimates(name: str, log: ReplayedLog, values: OffPolicyEstimate) -> None:
    rows = {"as it was": log.logged().ips, "ips": values.ips, "snips": values.snips, "dr": values.dr}
    for label, interval in rows.items():
        if interval is not None:
            bounds = f"[{interval.low:.4f}, {interval.high:.4f}]"
            line = f"{name:<20}  {label:<9}  {interval.mean:.4f} {bounds} clicks per answer"
            screen.print(line, markup=False, highlight=False, soft_wrap=True)
    weight = f"coverage {values.coverage:.2f}, as much as {values.effective_slots:,.0f} unweighted slots"
    notes.print(f"{name}: {log.num_users:,} users, {weight}")
    if values.coverage < MIN_COVERAGE:
        notes.print("The log rarely shows what this scenario would: do not rely on these estimates; test it instead.")
