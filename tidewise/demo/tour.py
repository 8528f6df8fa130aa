"""The demo's tour as text: what a click, a new item and a new user change.

Prints what `tidewise.demo.guide` has read from the server.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tidewise.client import Client, Json
from tidewise.demo.guide import Click, Guide, NewItem, NewUser, categories_of, ids_of

SHOWN = 5  # items of a list


@dataclass(frozen=True, slots=True)
class Tour:
    """What the tour has shown."""

    click: Click
    new_item: NewItem
    new_user: NewUser


def take_tour(client: Client, *, user_id: str, console: Console) -> Tour:
    """Show a click of `user_id`, a new item and a new user."""
    guide = Guide(client)
    client.recommend(user_id)  # a warm-up: the first answer of a server is not the fastest
    click = guide.click(user_id)
    show_click(console, click)
    new_item = guide.new_item(click.after["items"][0], user_id)
    show_new_item(console, new_item)
    new_user = guide.new_user()
    show_new_user(console, new_user)
    return Tour(click, new_item, new_user)


def show_where_to_look(client: Client, console: Console) -> None:
    """Print the addresses of the dashboard and of the API's description."""
    url = escape(client.base_url)
    console.print(f"\nDashboard: [bold]{url}/[/]   API: [bold]{url}/openapi.json[/]", soft_wrap=True)


def show_click(console: Console, click: Click) -> None:
    """Print one user's recommendations before and after a click."""
    interests = " and ".join(categories_of(click.before)[:2]) or "nothing"
    heading(console, 1, "A click changes the next answer")
    console.print(
        f"[bold]{escape(click.user_id)}[/], so far interested in {escape(interests)}, clicks {_named(click.item)}"
    )
    side_by_side(console, click.before, click.after, titles=("before", f"{click.changed_ms:.0f} ms after the click"))


def show_new_item(console: Console, new: NewItem) -> None:
    """Print a new item, how soon it was recommended, and its most similar items."""
    heading(console, 2, "A new item is recommended without training")
    console.print(
        f"{_named(new.item)} is recommended to {escape(new.user_id)} "
        f"[bold green]{new.recommended_ms:.0f} ms[/] later, at rank {new.rank} of {new.num_ranked} in its category."
    )
    similar = ", ".join(escape(item["title"]) for item in new.similar["items"])
    console.print(f"Most similar items, by their texts: {similar}")


def show_new_user(console: Console, guest: NewUser) -> None:
    """Print the recommendations for a new user before and after two clicks."""
    heading(console, 3, "A new user gets recommendations at once")
    console.print(f"[bold]{escape(guest.user_id)}[/] clicks {' and '.join(_named(item) for item in guest.clicks)}")
    titles = (
        f"at first: {_source(guest.first)}",
        f"{guest.personal_ms:.0f} ms after the clicks: {_source(guest.after)}",
    )
    side_by_side(console, guest.first, guest.after, titles=titles)


def _source(answer: Json) -> str:
    return "popular items" if answer["source"] == "popularity" else "personal ones"


def heading(console: Console, number: int, text: str) -> None:
    """Print the title of one part of the tour."""
    console.print(f"\n[bold cyan]{number}. {text}[/]")


def _named(item: Json) -> str:
    """An item's title and categories."""
    categories = escape(", ".join(item["categories"]))
    return f"[bold]{escape(item['title'])}[/] [dim]({categories})[/]"


def side_by_side(console: Console, before: Json, after: Json, *, titles: tuple[str, str]) -> None:
    """Print two lists as one table; items that only the second has are green."""
    table = Table(*titles, box=box.SIMPLE_HEAD, pad_edge=False)
    known = set(ids_of(before))
    for rank in range(SHOWN):
        cells = [_entry(answer, rank) for answer in (before, after)]
        is_new = rank < len(after["items"]) and after["items"][rank]["item_id"] not in known
        table.add_row(cells[0], f"[green]{cells[1]}[/]" if is_new else cells[1])
    console.print(table)


def _entry(answer: Json, rank: int) -> str:
    items = answer["items"]
    return escape(items[rank]["title"]) if rank < len(items) else ""
