"""`tidewise recommend` and `tidewise interests`: answers straight from the database, without a server."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from core.catalogue.filters import filter_in
from core.cores import num_cores
from core.errors import InvalidInput
from core.events.interactions import check_id, check_time_ms
from core.interests.user_interest import UserInterest
from core.recommendation.requests import DEFAULT_N, RecommendationRequest, RecommendationResult, check_n
from core.recommendation.user_lists import LIST_FIELDS
from core.scenarios.scenario import NO_SCENARIO
from tidewise.bootstrap import System, open_existing
from tidewise.commands.files.export import FORMATS_HELP
from tidewise.commands.operation.advice import catalogue_findings, warn
from tidewise.commands.options import Config, Data, Json, Set, notes, print_json, screen, settings_of


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("recommend")(recommend)
    app.command("interests")(interests)


def recommend(
    user: Annotated[str | None, typer.Argument(help="The user's id.", show_default=False)] = None,
    all_: Annotated[bool, typer.Option("--all", help="Write the lists of all users to the file --out.")] = False,
    out: Annotated[Path | None, typer.Option(help=f"With --all: {FORMATS_HELP}.", show_default=False)] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="With --all: processes that compute (default: one per core).")
    ] = None,
    n: Annotated[
        int | None, typer.Option("--n", min=1, help="Number of items (default: of the scenario, else 10).")
    ] = None,
    category: Annotated[str | None, typer.Option(help="Only items of this category.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:VALUE",
            help="Only items with this attribute, such as brand:acme, !brand:acme or price:..30; repeat for more.",
        ),
    ] = None,
    scenario: Annotated[str | None, typer.Option(help="The name of a scenario.")] = None,
    at: Annotated[int | None, typer.Option(help="Time of the request, in ms since 1970 (default: now).")] = None,
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Recommend items to a user, or to all users, straight from the database."""
    if (user is None) != all_ or all_ != (out is not None):
        msg = "recommend: wanted a user's id, or --all with --out FILE"
        raise InvalidInput(msg)
    if user is not None:
        check_id("user", user)
    at_ms = None if at is None else check_time_ms("--at", at)
    settings = settings_of(data, config, set_)
    with open_existing(settings, recommends=True) as system:
        system.snapshots.refresh()
        system.scenarios.follow()
        system.segments.follow()
        rules = NO_SCENARIO if scenario is None else system.scenarios.get(scenario)
        exclude_seen = settings.recommend.exclude_seen if rules.exclude_seen is None else rules.exclude_seen
        request = RecommendationRequest(
            n=check_n(n or rules.n or DEFAULT_N, settings.recommend.max_n),
            category=None if category is None else check_id("category", category),
            where=filter_in(where or []),
            at_ms=at_ms,
            exclude_seen=exclude_seen,
            scenario=None if scenario is None else rules,
        )
        if user is None or out is not None:
            assert out is not None
            _write_lists(system, request, out, processes or num_cores(), json_=json_)
            return
        answer = system.recommender.recommend(user, request)
        with system.store.read() as read:
            findings = [] if answer.items else list(catalogue_findings(read, settings))
    if json_:
        fields = asdict(answer)
        print_json({"user_id": user, **fields.pop("ranked"), **fields})
    else:
        _print(user, answer)
    warn(findings)


def _write_lists(system: System, request: RecommendationRequest, out: Path, num_processes: int, *, json_: bool) -> None:
    """Write the lists of all users to a file."""
    from storage.files.writing import check_writable, write_records
    from tidewise.processes.user_lists import user_lists

    check_writable(out)
    with Progress(console=notes, transient=True) as progress:
        task = progress.add_task("recommending", total=None)
        lists = user_lists(
            system,
            request,
            num_processes=num_processes,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
        num_users = write_records(out, lists, LIST_FIELDS)
    if json_:
        print_json({"users": num_users})
    else:
        screen.print(f"Lists of {num_users:,} users written to {out}", markup=False, highlight=False)


def interests(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Show a user's interests and whether they drift."""
    from serving.schemas.users import interest_out

    with open_existing(settings_of(data, config, set_)) as system:
        system.snapshots.refresh()
        interest = system.interests.of(check_id("user", user))
    if json_:
        print_json(interest_out(interest))
    else:
        _print_interest(interest)


def _print_interest(user_interest: UserInterest) -> None:
    interest = user_interest.interest
    title = f"{user_interest.user_id}: {interest.drift.explanation}"
    table = Table(title=title, title_justify="left")
    for heading in ("topic", "short-term", "long-term"):
        table.add_column(heading, justify="left" if heading == "topic" else "right")
    for topic, short, long in zip(interest.topics, interest.short_term, interest.long_term, strict=True):
        table.add_row(topic, f"{short:.0%}", f"{long:.0%}")
    screen.print(table)
    score = "none" if interest.drift.score is None else f"{interest.drift.score:.3f}"
    screen.print(
        f"score {score}, threshold {interest.drift.threshold:g}, {user_interest.num_events} events", markup=False
    )


def _print(user: str, answer: RecommendationResult) -> None:
    table = Table(title=f"For {user}: {answer.reason}", title_justify="left")
    for heading in ("", "item", "title", "categories", "score"):
        table.add_column(heading, justify="right" if heading in ("", "score") else "left")
    for position, item in enumerate(answer.items, start=1):
        score = "" if item.score is None else f"{item.score:.3f}"
        table.add_row(str(position), item.item_id, item.title, ", ".join(item.categories), score)
    screen.print(table)
    version = answer.model_version or "no model"
    screen.print(f"source {answer.source}, {version}, sequence {answer.user_seq}", markup=False)
