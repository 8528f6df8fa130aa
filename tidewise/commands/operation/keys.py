"""`tidewise keys`: makes, lists, rotates and revokes API keys; running servers notice within a second."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from core.access.key_management import create_key, revoke_key, rotate_key
from core.clock import DAY_MS, HOUR_MS, WallClock
from core.records.api_keys import ApiKey, Scope
from core.times import minute_text
from tidewise.bootstrap import open_existing, open_system
from tidewise.commands.operation.audit import audited
from tidewise.commands.options import Config, Data, Json, Set, finite, notes, print_json, screen, settings_of
from tidewise.settings.schema import Settings

app = typer.Typer(no_args_is_help=True, help="Make, list, rotate and revoke API keys.")

Name = Annotated[str, typer.Argument(help="The name of the key, such as the program that uses it.", show_default=False)]


def register(parent: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("create")(create)
    app.command("list")(list_keys)
    app.command("rotate")(rotate)
    app.command("revoke")(revoke)
    parent.add_typer(app, name="keys")


def create(
    name: Name,
    scope: Annotated[
        Literal["read", "write", "admin"],
        typer.Option(help="read: answers; write: events and items too; admin: everything.", show_default=False),
    ],
    days: Annotated[
        float | None, typer.Option(min=0.0, callback=finite, help="Days until it expires.", show_default=False)
    ] = None,
    max_per_second: Annotated[
        float | None,
        typer.Option(min=0.001, callback=finite, help="Requests per second that a server accepts.", show_default=False),
    ] = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option(help="May only ask for recommendations by this scenario (repeatable).", show_default=False),
    ] = None,
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Make a key and print its secret, which is not stored and cannot be shown again."""
    settings, now_ms = settings_of(data, config, set_), WallClock().now_ms()
    expires_ms = None if days is None else now_ms + int(days * DAY_MS)
    with open_system(settings) as system:
        secret = create_key(
            audited(system, "create key", name),
            name,
            Scope[scope.upper()],
            now_ms=now_ms,
            expires_ms=expires_ms,
            max_per_s=max_per_second,
            scenarios=scenario or (),
        )
    _print_secret(settings, name, secret, json_=json_)


def list_keys(data: Data = None, config: Config = None, set_: Set = None, json_: Json = False) -> None:
    """List all keys with scope, limit and expiry; no secrets."""
    with open_existing(settings_of(data, config, set_)) as system, system.store.read() as read:
        keys = read.keys.all()
    if json_:
        print_json([_document(key) for key in keys])
        return
    now_ms = WallClock().now_ms()
    for key in keys:
        screen.print(_line(key, now_ms), markup=False, highlight=False, soft_wrap=True)


def rotate(
    name: Name,
    overlap_hours: Annotated[
        float, typer.Option(min=0.0, callback=finite, help="Hours for which the old secret remains valid.")
    ] = 24.0,
    data: Data = None,
    config: Config = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Give a key a new secret; the old one expires after an overlap."""
    settings = settings_of(data, config, set_)
    with open_existing(settings) as system:
        secret = rotate_key(
            audited(system, "rotate key", name),
            name,
            now_ms=WallClock().now_ms(),
            overlap_ms=int(overlap_hours * HOUR_MS),
        )
    _print_secret(settings, name, secret, json_=json_)


def revoke(name: Name, data: Data = None, config: Config = None, set_: Set = None) -> None:
    """Delete a key; servers refuse it within a second."""
    with open_existing(settings_of(data, config, set_)) as system:
        revoke_key(audited(system, "revoke key", name), name)
    notes.print(f"{name}: revoked.", markup=False, highlight=False)


def _print_secret(settings: Settings, name: str, secret: str, *, json_: bool) -> None:
    if json_:
        print_json({"name": name, "secret": secret})
    else:
        typer.echo(secret)
        notes.print("Keep it now: it is not stored.")
    if settings.api_key() is None:
        notes.print("server.api_key is not set: the API needs no key, and listens on loopback only.", soft_wrap=True)


def _document(key: ApiKey) -> dict[str, object]:
    times = {"created": key.created_ms, "expires": key.expires_ms}
    permits = {"scope": key.scope.name.lower(), "scenarios": key.scenarios, "max_per_second": key.max_per_s}
    return {"name": key.name, **permits, **times}


def _line(key: ApiKey, now_ms: int) -> str:
    scenarios = f", scenarios {', '.join(key.scenarios)}" if key.scenarios else ""
    limit = "" if key.max_per_s is None else f", {key.max_per_s:g}/s"
    if key.expires_ms is None:
        expiry = ""
    else:
        expiry = f", {'expired' if key.expires_ms <= now_ms else 'expires'} {minute_text(key.expires_ms)} UTC"
    return f"{key.name}: {key.scope.name.lower()}{scenarios}{limit}, made {minute_text(key.created_ms)} UTC{expiry}"
