"""The demo's last part as text: interests shift, the monitor detects it, and the model is fine-tuned.

Only events are sent: monitor, trainer and gate of the running server do the rest. Prints what
`tidewise.demo.drift_guide` has read from the server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape

from core.clock import HOUR_MS
from core.events.interactions import Interaction
from tidewise.client import Client, Json
from tidewise.demo.drift_guide import DriftGuide, visitors_of
from tidewise.demo.shop_changes import Change
from tidewise.demo.simulator import Shop
from tidewise.demo.tour import heading, side_by_side

Send = Callable[[Sequence[Interaction]], None]


def take_drift_tour(client: Client, shop: Shop, *, send: Send, console: Console) -> None:
    """Send the events after the shop's change, and print what the server does."""
    change = shop.change
    assert change is not None
    guide, champion = DriftGuide(client), str(client.status()["model"]["champion"])
    changed = shop.split_live()[1]
    changed_items = {item.item_id for item in shop.items if change.category in item.categories}
    heading(console, 4, "Interests shift, and the drift monitor detects it")
    _announce(console, client, change, len(changed))
    send(changed)
    with console.status("The drift monitor reads buckets of five minutes once they are closed ..."):
        alarm = guide.alarm()
    if alarm is None:
        console.print("No alarm yet; the drift page will show it.")
        return
    _show_alarm(console, alarm, change, [event.time_ms for event in changed])
    visitors = visitors_of(changed, changed_items)
    affected = guide.affected_user(visitors, change.category)
    _show_affected_user(console, client, affected)
    show_fine_tune(console, client, guide, champion, affected["user_id"] if affected else visitors[0])


def recall_drift(client: Client, console: Console) -> None:
    """Print the newest alarm of an earlier run, and the models trained because of it."""
    heading(console, 4, "Drift detected in an earlier run")
    alarms = client.drift()["alarms"]
    for alarm in alarms[:1]:
        console.print(f"Since {_moment(alarm['onset'])}, in `{alarm['signal']}`: [bold]{escape(alarm['cause'])}[/].")
    if not alarms:
        console.print("None.")
    for record in client.models()["models"]:
        trials = record["lineage"].get("trials")
        if trials:
            trigger = escape(str(record["lineage"].get("trigger")))
            console.print(f"{escape(record['version'])}, trained after {trigger}: {trials[-1]['verdict']}.")


def show_fine_tune(console: Console, client: Client, guide: DriftGuide, champion: str, user_id: str) -> None:
    """Wait for the model that the alarm triggered, and print the gate's verdict and what it changed."""
    heading(console, 5, "The model is fine-tuned, and the gate decides")
    before = client.recommend(user_id)
    with console.status("A fine-tune trains on the newest events and is compared on held-out ones ..."):
        record = guide.fine_tuned_model(champion)
    if record is None:
        console.print("No verdict yet; the models page will show it.")
        return
    lineage, trial = record["lineage"], record["lineage"]["trials"][-1]
    console.print(f"Trigger: {escape(str(lineage.get('trigger')))}.", soft_wrap=True)
    console.print(
        f"Verdict on [bold]{escape(record['version'])}[/]: [bold]{trial['verdict']}[/], "
        f"{escape(trial['reason'])}, on {trial['events']:,} events of {trial['users']:,} users. "
        f"More: [bold]{escape(client.base_url)}/#/models[/]",
        soft_wrap=True,
    )
    if trial["verdict"] == "promote":
        after = guide.answer_of(record["version"], user_id)
        console.print(f"Recommendations for {escape(user_id)}:")
        side_by_side(console, before, after, titles=("previous model", "fine-tuned model"))


def _announce(console: Console, client: Client, change: Change, num_events: int) -> None:
    console.print(
        f"From {_moment(change.time_ms)} on, half of all visits are to [bold]{escape(change.category)}[/], mostly to a "
        f"few items with hardly any views before. The demo sends {num_events:,} such events, and nothing else. "
        f"Watch: [bold]{escape(client.base_url)}/#/drift[/]",
        soft_wrap=True,
    )


def _show_alarm(console: Console, alarm: Json, change: Change, times_ms: Sequence[int]) -> None:
    num_before = sum(time_ms < alarm["detected"] for time_ms in times_ms)
    off_h = abs(alarm["onset"] - change.time_ms) / HOUR_MS
    console.print(
        f"[bold green]Detected[/] after {num_before:,} of these events, in `{alarm['signal']}`: since "
        f"{_moment(alarm['onset'])}, off by {off_h:.1f} h. Likely cause: [bold]{escape(alarm['cause'])}[/].",
        soft_wrap=True,
    )


def _show_affected_user(console: Console, client: Client, interests: Json | None) -> None:
    if interests is None:
        console.print("No single user has enough events since then to show a shift.")
        return
    user_id, explanation = interests["user_id"], interests["drift"]["explanation"]
    console.print(
        f"An affected user, [bold]{escape(user_id)}[/]: {escape(explanation)}. "
        f"More: [bold]{escape(client.base_url)}/#/users/{escape(user_id)}[/]",
        soft_wrap=True,
    )


def _moment(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%-d %B %H:%M} UTC"
