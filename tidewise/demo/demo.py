"""The demo: simulates a shop, trains, serves, and shows what happens.

The first run builds the shop and trains a model; later runs reuse both from the data folder. The tour uses the HTTP API
as any client does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from rich.console import Console

from core.clock import DAY_MS
from core.errors import InvalidSettings
from core.events.interactions import Interaction
from core.ingestion.sources import RequestSource
from core.manage import save_items
from tidewise.bootstrap import System, open_system
from tidewise.client import Client
from tidewise.demo.drift_tour import recall_drift, take_drift_tour
from tidewise.demo.shop_changes import Change
from tidewise.demo.simulator import NUM_USERS, Shop, simulate_shop
from tidewise.demo.tour import show_where_to_look, take_tour
from tidewise.live_traffic import TrafficPace, replay_live
from tidewise.processes.children import PREFERRED_PORT, free_port, running, wait_for_interrupt, wait_ready
from tidewise.settings.schema import Settings
from tidewise.training.progress import TrainingBar

SEED = 7
LIVE_RATE_PER_S = 800.0
LIVE_DAYS, SEASON_DAYS = 8, 4
SEASON = "Gardening"
BATCH = 5000


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of the demo. `arguments`, `variables`: options and environment that give a child the same settings.

    `port`: None takes 8080, or a free one if that is taken. `exit_after_tour`: do not wait for Ctrl-C. `num_users`: of
    the simulated shop.
    """

    arguments: Sequence[str]
    variables: Mapping[str, str]
    port: int | None = None
    exit_after_tour: bool = False
    num_users: int = NUM_USERS


def run_demo(settings: Settings, options: DemoOptions, *, console: Console) -> None:
    """Build what is missing, serve, send live traffic, show the tour, and wait for Ctrl-C unless it should end."""
    started_s = time.monotonic()
    port = choose_port(options)
    is_new = prepare(settings, console, num_users=options.num_users)
    url, log = f"http://127.0.0.1:{port}", settings.data.folder / "up.log"
    arguments = ["up", *options.arguments, "--port", str(port), "--processes", "1"]  # enough for a small shop
    with ExitStack() as stack:
        server = stack.enter_context(running(arguments, log=log, variables=options.variables))
        season_days = SEASON_DAYS if is_new else LIVE_DAYS
        shop = make_shop(season_days=season_days, num_users=options.num_users)  # while the server starts
        wait_ready(server, url, log=log)
        client = stack.enter_context(Client(url, api_key=settings.api_key()))
        user_id = shop.typical_user()
        client.recommend(user_id)
        console.print(f"First recommendation [bold]{time.monotonic() - started_s:.1f} s[/] after the start.")

        def send(events: Sequence[Interaction]) -> None:
            report = replay_live(
                [client], events, pace=TrafficPace(LIVE_RATE_PER_S), console=console, total=len(events)
            )
            console.print(f"Live: {report.num_events:,} events at {report.events_per_s:,.0f}/s.")

        before, after = shop.split_live()
        send(before or after)
        take_tour(client, user_id=user_id, console=console)
        if before and after:
            take_drift_tour(client, shop, send=send, console=console)
        else:
            recall_drift(client, console)
        show_where_to_look(client, console)
        if not options.exit_after_tour:
            console.print("\nRunning until Ctrl-C.")
            wait_for_interrupt({log: server})


def prepare(settings: Settings, console: Console, *, num_users: int = NUM_USERS) -> bool:
    """Fill the database with the shop and train a model; False if an earlier run has done so."""
    with open_system(settings) as system:
        with system.store.read() as read:
            if read.models.champion() is not None:
                return False
        console.print("Building a simulated shop ...")
        shop = make_shop(num_users=num_users)
        fill(system, shop)
        sizes = f"{len(shop.items):,} items, {len(shop.history):,} events"
        console.print(f"{sizes}, {len(shop.drifts):,} users whose interest drifts.")
        _train(system)
    return True


def fill(system: System, shop: Shop) -> None:
    """Store the shop's items and history; a second call changes nothing."""
    save_items(system.store, shop.items)
    for first in range(0, len(shop.history), BATCH):
        system.ingestor.ingest(shop.history[first : first + BATCH], RequestSource("demo", live=False))


def _train(system: System) -> None:
    from tidewise.training.learning import train_model

    with TrainingBar() as bar:
        train_model(system, progress=bar.show)


def make_shop(*, season_days: int = 0, num_users: int = NUM_USERS) -> Shop:
    """The demo's shop: always the same items and users, with traffic up to now.

    `season_days`: how many days ago interests began to shift; 0: they do not.
    """
    end_ms = time.time_ns() // 1_000_000
    change = Change("season", end_ms - season_days * DAY_MS, SEASON) if season_days else None
    return simulate_shop(seed=SEED, num_users=num_users, live_days=LIVE_DAYS, end_ms=end_ms, change=change)


def choose_port(options: DemoOptions) -> int:
    """The port of the options; by default 8080, or a free one if that is taken; 0: any free port.

    Raises `InvalidSettings` where another server listens on the port of the options: it would get the demo's events.
    """
    port = free_port(PREFERRED_PORT if options.port is None else options.port)
    if options.port and port != options.port:
        msg = f"--port: {options.port} is in use, and the demo never posts into a running server; wanted a free port"
        raise InvalidSettings(msg)
    return port
