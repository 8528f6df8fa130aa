"""Requests about one or many entries of a resource, items or users: each entry is parsed, and has its own outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from fastapi import Request

from core.errors import InvalidInput, NotFound
from core.events.interactions import shorten
from serving.http.replies import invalid_entries, problem_of
from serving.http.requests import many_or_one, path_id, read_json
from serving.runtime.engine import Engine

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entries(Generic[T]):
    """The entries of a body in the order sent, each parsed or with the error of parsing it."""

    parsed: Sequence[T | InvalidInput]

    @property
    def valid(self) -> list[T]:
        """The entries that could be parsed."""
        return [entry for entry in self.parsed if not isinstance(entry, InvalidInput)]

    def outcomes(
        self, id_field: str, id_of: Callable[[T], str], problems: Sequence[InvalidInput | NotFound | None] = ()
    ) -> dict[str, object]:
        """The outcome of each, and their sums. `problems`: for each valid entry why it was not applied, else None."""
        of_valid = iter(problems or [None] * len(self.parsed))
        results: list[dict[str, object]] = []
        for entry in self.parsed:
            problem = entry if isinstance(entry, InvalidInput) else next(of_valid)
            if problem is None:
                assert not isinstance(entry, InvalidInput)
                results.append({"status": "accepted", id_field: id_of(entry)})
            else:
                results.append({"status": "rejected", "error": problem_of(problem)})
        accepted = sum(result["status"] == "accepted" for result in results)
        return {"accepted": accepted, "rejected": len(results) - accepted, "results": results}


async def read_entries(request: Request, engine: Engine, name: str, parse: Callable[[object], T]) -> Entries[T]:
    """The entries of {"items": [...]}, or of one bare object; answers 422 if none is valid. `name`: items or users."""
    body = await read_json(request, max_bytes=engine.limits.max_body_bytes)
    raw, single = many_or_one(body, name, limit=engine.limits.max_events)
    entries = Entries(await engine.executor.run(lambda: [_parsed(entry, parse) for entry in raw]))
    problems = [problem_of(entry) for entry in entries.parsed if isinstance(entry, InvalidInput)]
    if len(problems) == len(entries.parsed):
        raise invalid_entries(name, problems, single=single)
    return entries


async def read_one(request: Request, engine: Engine, id_field: str) -> object:
    """The body of a request about one entry, with the id of its path."""
    own_id = path_id(request, id_field)
    body = await read_json(request, max_bytes=engine.limits.max_body_bytes)
    if isinstance(body, dict) and body.setdefault(id_field, own_id) != own_id:
        sent = shorten(body[id_field])
        msg = f"{id_field}: the path says {shorten(own_id)}, the body {sent}; leave it out of the body"
        raise InvalidInput(msg, field=id_field)
    return body


def _parsed(raw: object, parse: Callable[[object], T]) -> T | InvalidInput:
    try:
        return parse(raw)
    except InvalidInput as error:
        return error
