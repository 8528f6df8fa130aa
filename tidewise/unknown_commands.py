"""What does the work of a command that there is not: a request to a running server, or another command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Requests as docs/api.md names them: method, path, and the body where there is one.
REQUESTS = {
    "merge": ("POST", "/v1/users/{user_id}/merge", '{"from": GUEST_ID}'),
    "undo": ("DELETE", "/v1/interactions/{event_id}", ""),
    "erase": ("DELETE", "/v1/users/{user_id}", ""),
    "forget": ("DELETE", "/v1/users/{user_id}", ""),
    "hide": ("PATCH", "/v1/items/{item_id}", '{"hidden": true}'),
    "unhide": ("PATCH", "/v1/items/{item_id}", '{"hidden": false}'),
    "expire": ("PATCH", "/v1/items/{item_id}", '{"available_until": TIME}'),
    "patch": ("PATCH", "/v1/items/{item_id}", ""),
    "update": ("PATCH", "/v1/items/{item_id}", ""),
    "delete": ("DELETE", "/v1/items/{item_id}", ""),
    "remove": ("DELETE", "/v1/items/{item_id}", ""),
    "items": ("GET", "/v1/items", ""),
    "users": ("GET", "/v1/users", ""),
    "events": ("GET", "/v1/users/{user_id}/events", ""),
    "history": ("GET", "/v1/users/{user_id}/events", ""),
    "search": ("GET", "/v1/items/search", ""),
    "similar": ("GET", "/v1/items/{item_id}/similar", ""),
    "popular": ("GET", "/v1/items/popular", ""),
    "trending": ("GET", "/v1/items/trending", ""),
    "rank": ("POST", "/v1/users/{user_id}/rank", ""),
    "send": ("POST", "/v1/interactions", ""),
}
COMMANDS = {
    "load": "tidewise import",
    "ingest": "tidewise import",
    "init": "tidewise import",
    "start": "tidewise up",
    "run": "tidewise up",
    "stop": "Ctrl-C in the terminal of `tidewise up`, or SIGTERM",
    "status": "tidewise doctor",
    "check": "tidewise doctor",
    "health": "tidewise doctor",
    "version": "tidewise --version",
    "fit": "tidewise train",
    "config": "tidewise settings",
    "alarms": "tidewise drift",
}


def advice(name: str, commands: Mapping[str, Any]) -> str | None:
    """What to do instead of a command; None where nothing is known. `commands`: those that there are, groups too."""
    if name in REQUESTS:
        request = " ".join(part for part in REQUESTS[name] if part)
        return f"That is a request to a running server: {request} (docs/api.md)."
    used = [f"tidewise {group} {name}" for group in commands if name in getattr(commands[group], "commands", ())]
    used += [COMMANDS[name]] if name in COMMANDS else []
    return f"Use {' or '.join(f'`{command}`' for command in used)}." if used else None
