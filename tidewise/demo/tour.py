"""The demo's tour, printed for people: what a click, a new item and a new user change, at one glance.

Knows nothing about the server: `tidewise.demo.guide` asks it, this shows what came back.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tidewise.client import Client, Json
from tidewise.demo.guide import Click, Guide, NewItem, NewUser, categories_of, ids_of

SHOWN = 5  # entries of a list that still fit beside another one


@dataclass(frozen=True, slots=True)
class Tour:
    """All that was shown."""

    click: Click
    new_item: NewItem
    new_user: NewUser


def take_tour(client: Client, *, user_id: str, console: Console) -> Tour:
    """Show a click of `user_id`, a new item and a new user."""
    guide = Guide(client)
    client.recommend(user_id)  # the first answer of a server is not the fastest: not the one to measure
    click = guide.click(user_id)
    show_click(console, click)
    new_item = guide.new_item(click.after["items"][0], user_id)
    show_new_item(console, new_item)
    new_user = guide.new_user()
    show_new_user(console, new_user)
    return Tour(click, new_item, new_user)


def show_where_to_look(client: Client, console: Console) -> None:
    """The dashboard's address, and that of the API's documentation."""
    url = escape(client.base_url)
    console.print(f"\nLook around: [bold]{url}/[/]   every call: [bold]{url}/openapi.json[/]", soft_wrap=True)


def show_click(console: Console, click: Click) -> None:
    """One user's list before and after a click."""
    liking = " and ".join(categories_of(click.before)[:2]) or "nothing yet"
    heading(console, 1, "A click changes the next answer")
    console.print(f"[bold]{escape(click.user_id)}[/], so far into {escape(liking)}, clicks {_named(click.item)}")
    side_by_side(console, click.before, click.after, titles=("before", f"{click.changed_ms:.0f} ms after the click"))


def show_new_item(console: Console, entered: NewItem) -> None:
    """A new item, how soon it was recommended, and what stands near it."""
    heading(console, 2, "A new item enters, no training needed")
    console.print(
        f"{_named(entered.item)} is recommended to {escape(entered.user_id)} "
        f"[bold green]{entered.entered_ms:.0f} ms[/] later: place {entered.place} of {entered.out_of} in its category."
    )
    near = ", ".join(escape(item["title"]) for item in entered.similar["items"])
    console.print(f"Its neighbours, by what is written about it: {near}")


def show_new_user(console: Console, guest: NewUser) -> None:
    """The first two answers to somebody new."""
    heading(console, 3, "A new user is served at once")
    console.print(f"[bold]{escape(guest.user_id)}[/] clicks {' and '.join(_named(item) for item in guest.clicks)}")
    titles = (f"at first: {_why(guest.first)}", f"{guest.personal_ms:.0f} ms after the clicks: {_why(guest.after)}")
    side_by_side(console, guest.first, guest.after, titles=titles)


def _why(answer: Json) -> str:
    return "what is popular" if answer["source"] == "popularity" else "their own list"


def heading(console: Console, number: int, text: str) -> None:
    """The title of one part of the tour."""
    console.print(f"\n[bold cyan]{number}. {text}[/]")


def _named(item: Json) -> str:
    """An item in a sentence."""
    categories = escape(", ".join(item["categories"]))
    return f"[bold]{escape(item['title'])}[/] [dim]({categories})[/]"


def side_by_side(console: Console, before: Json, after: Json, *, titles: tuple[str, str]) -> None:
    """Two lists in one table; what is new in the second stands out."""
    table = Table(*titles, box=box.SIMPLE_HEAD, pad_edge=False)
    known = set(ids_of(before))
    for place in range(SHOWN):
        cells = [_entry(answer, place) for answer in (before, after)]
        is_new = place < len(after["items"]) and after["items"][place]["item_id"] not in known
        table.add_row(cells[0], f"[green]{cells[1]}[/]" if is_new else cells[1])
    console.print(table)


def _entry(answer: Json, place: int) -> str:
    items = answer["items"]
    return escape(items[place]["title"]) if place < len(items) else ""
