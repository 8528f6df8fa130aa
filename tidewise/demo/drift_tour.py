"""The demo's last part, printed for people: everybody's interest moves, it is noticed, and the model follows.

Nothing but events is sent: the monitor, the trainer and the gate of the running server decide. Knows nothing about the
server: `tidewise.demo.drift_guide` asks it, this shows what came back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape

from core.clock import HOUR_MS
from core.interactions import Interaction
from tidewise.client import Client, Json
from tidewise.demo.drift_guide import DriftGuide, visitors_of
from tidewise.demo.shop_changes import Change
from tidewise.demo.simulator import Shop
from tidewise.demo.tour import heading, side_by_side

Send = Callable[[Sequence[Interaction]], None]


def take_drift_tour(client: Client, shop: Shop, *, send: Send, console: Console) -> None:
    """Send what comes after the shop's change, and show what the server makes of it."""
    change = shop.change
    assert change is not None
    guide, champion = DriftGuide(client), str(client.status()["model"]["champion"])
    changed = shop.parted_live()[1]
    inside = {item.item_id for item in shop.items if change.category in item.categories}
    heading(console, 4, "Everybody's interest moves, and it is noticed")
    _say_what_comes(console, client, change, len(changed))
    send(changed)
    with console.status("The monitor reads closed stretches of five minutes once no more of the past comes in ..."):
        alarm = guide.alarm()
    if alarm is None:
        console.print("No alarm so far; the page of drift shows it once there is one.")
        return
    _show_alarm(console, alarm, change, [event.time_ms for event in changed])
    mover = guide.mover(visitors_of(changed, inside), change.category)
    _show_mover(console, client, mover)
    follow(console, client, guide, champion, mover["user_id"] if mover else visitors_of(changed, inside)[0])


def recall_drift(client: Client, console: Console) -> None:
    """What an earlier run has left: the newest alarm, and what was trained because of it."""
    heading(console, 4, "What was noticed before")
    alarms = client.drift()["alarms"]
    for alarm in alarms[:1]:
        console.print(f"Since {_moment(alarm['onset'])}, in `{alarm['signal']}`: [bold]{escape(alarm['cause'])}[/].")
    if not alarms:
        console.print("Nothing so far.")
    for record in client.models()["models"]:
        trials = record["lineage"].get("trials")
        if trials:
            trigger = escape(str(record["lineage"].get("trigger")))
            console.print(f"{escape(record['version'])}, trained after {trigger}: {trials[-1]['verdict']}.")


def follow(console: Console, client: Client, guide: DriftGuide, champion: str, user_id: str) -> None:
    """Wait for the model that the alarm asked for, and show what the gate said of it and what that changed."""
    heading(console, 5, "The model follows, if the gate lets it")
    before = client.recommend(user_id)
    with console.status("A fine-tune learns from the newest events, and is tried on those kept from it ..."):
        record = guide.follower(champion)
    if record is None:
        console.print("No verdict so far; the page of models shows it once there is one.")
        return
    lineage, trial = record["lineage"], record["lineage"]["trials"][-1]
    console.print(f"Why it was trained: {escape(str(lineage.get('trigger')))}.", soft_wrap=True)
    console.print(
        f"What the gate says of [bold]{escape(record['version'])}[/]: [bold]{trial['verdict']}[/], "
        f"{escape(trial['reason'])}, on {trial['events']:,} events of {trial['users']:,} users. "
        f"More: [bold]{escape(client.base_url)}/#/models[/]",
        soft_wrap=True,
    )
    if trial["verdict"] == "promote":
        after = guide.answer_of(record["version"], user_id)
        console.print(f"What {escape(user_id)} is shown:")
        side_by_side(console, before, after, titles=("by the model before", "by the model that followed"))


def _say_what_comes(console: Console, client: Client, change: Change, num_events: int) -> None:
    console.print(
        f"From {_moment(change.time_ms)} on half of all visits turn to [bold]{escape(change.category)}[/], mostly to a "
        f"few items that hardly anybody had looked at. {num_events:,} such events come in now, and nothing else tells "
        f"anybody. Watch it: [bold]{escape(client.base_url)}/#/drift[/]",
        soft_wrap=True,
    )


def _show_alarm(console: Console, alarm: Json, change: Change, times_ms: Sequence[int]) -> None:
    since = sum(time_ms < alarm["detected"] for time_ms in times_ms)
    off_h = abs(alarm["onset"] - change.time_ms) / HOUR_MS
    console.print(
        f"[bold green]Noticed[/] after {since:,} of these events, in `{alarm['signal']}`: since "
        f"{_moment(alarm['onset'])}, off by {off_h:.1f} h. Likely cause: [bold]{escape(alarm['cause'])}[/].",
        soft_wrap=True,
    )


def _show_mover(console: Console, client: Client, mover: Json | None) -> None:
    if mover is None:
        console.print("No single user has come often enough since to say that they moved.")
        return
    user_id, said = mover["user_id"], mover["drift"]["explanation"]
    console.print(
        f"One of those who moved, [bold]{escape(user_id)}[/]: {escape(said)}. "
        f"More: [bold]{escape(client.base_url)}/#/users/{escape(user_id)}[/]",
        soft_wrap=True,
    )


def _moment(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%-d %B %H:%M} UTC"
