"""`tidewise experiments plan`: before an experiment, how many users and days it needs."""

from __future__ import annotations

from typing import Annotated, cast

import typer

from core.errors import InvalidInput
from core.experiments.experiment import METRICS, Metric
from core.experiments.planning import POWER
from core.experiments.traffic import StoredTraffic, Traffic, plan_experiment, read_traffic
from core.json_fields import choice
from tidewise.bootstrap import open_existing
from tidewise.commands.options import Config, Data, Json, Set, finite, print_json, screen, settings_of
from tidewise.settings.schema import Settings

ONCE = " (a plan from a rate takes each user to convert at most once; leave it out to plan from stored outcomes)"
CORRELATION = 0.05  # of a user's observations, where the rate is given; .01 to .1 is common


def plan(
    lift: Annotated[
        float, typer.Option(callback=finite, help="The relative difference to find, as 0.1 for +10%.")
    ] = 0.1,
    rate: Annotated[
        float | None,
        typer.Option(callback=finite, help="The rate without the change, as 0.05; by default of the stored outcomes."),
    ] = None,
    metric: Annotated[str, typer.Option(help=f"{', '.join(METRICS)}.")] = METRICS[0],
    arms: Annotated[int, typer.Option(help="Arms of equal shares, the control included.", min=2, max=10)] = 2,
    power: Annotated[
        float, typer.Option(callback=finite, help="The probability of finding it.", min=0.5, max=0.99)
    ] = POWER,
    per_user: Annotated[
        float, typer.Option(callback=finite, help="With --rate: impressions per user.", min=1.0, max=10_000)
    ] = 1.0,
    users_per_day: Annotated[
        float | None,
        typer.Option(callback=finite, help="New users a day; by default those of the stored answers.", min=0.0),
    ] = None,
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Say how many users, and days, an experiment needs to find a lift."""
    name = cast(Metric, choice({"metric": metric}, "metric", METRICS, None))
    settings = settings_of(data, config, set_)
    stored = _stored(settings, name)
    traffic = stored.traffic if rate is None else _given(rate, name, per_user)
    if traffic is None:
        msg = "--rate: wanted a rate such as 0.05, because too few outcomes are stored to tell it, got none"
        raise InvalidInput(msg)
    _check_lift(lift, traffic, at_most_1=name == METRICS[0] or rate is not None)
    daily = stored.users_per_day if users_per_day is None else users_per_day
    try:
        planned = plan_experiment(traffic, lift, arms=arms, power=power, users_per_day=daily)
    except ValueError as error:
        msg = f"--lift: {error}"
        raise InvalidInput(msg) from error
    if json_:
        document = {"metric": name, "rate": traffic.rate, "rate_from": "outcomes" if rate is None else "option"}
        document |= {"lift": lift, "arms": arms, "power": power, "users": planned.users}
        print_json(document | {"users_per_day": daily or None, "days": planned.days})
        return
    line = f"{planned.users:,} users in {arms} arms find {lift:+.1%} of {name} {traffic.rate:.4f} with {power:.0%}"
    days = "" if planned.days is None else f": {planned.days:,} days at {daily:,.0f} new users a day"
    screen.print(line + days, markup=False, highlight=False, soft_wrap=True)


def _check_lift(lift: float, traffic: Traffic, *, at_most_1: bool) -> None:
    """Raise `InvalidInput` where the metric with the change is impossible."""
    lifted = traffic.rate * (1 + lift)
    if lifted < 0 or (at_most_1 and lifted > 1):
        wanted = "from 0 to 1" if at_most_1 else "of at least 0"
        msg = f"--lift: wanted a metric {wanted} with the change, got {lifted:g} ({traffic.rate:g} and {lift:+.1%})"
        raise InvalidInput(msg)


def _stored(settings: Settings, metric: Metric) -> StoredTraffic:
    if not settings.has_database():
        return StoredTraffic(None, 0.0)
    with open_existing(settings) as system, system.store.read() as read:
        proven = settings.outcomes.impressions == "client"
        return read_traffic(read, metric, now_ms=system.clock.now_ms(), proven_impressions=proven)


def _given(rate: float, metric: Metric, per_user: float) -> Traffic:
    if metric == METRICS[2]:
        msg = f"--rate: wanted none for {metric}, which varies by more than a rate says, got {rate:g}"
        raise InvalidInput(msg)
    if not 0 < rate < 1:
        reason = ONCE if metric == METRICS[1] else ""
        msg = f"--rate: wanted a number above 0 and below 1{reason}, got {rate:g}"
        raise InvalidInput(msg)
    if metric == METRICS[1]:
        return Traffic.assumed(rate)
    return Traffic.assumed(rate, per_user=per_user, correlation=CORRELATION)
