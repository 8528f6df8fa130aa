"""User import: reads a file of users' attributes. Independent of file systems and SQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.conflicts import retried
from core.errors import InvalidInput
from core.imports.event_import import BrokenImport, ImportReport, Progress
from core.imports.event_rows import id_text
from core.imports.known_rows import KnownRowsReport
from core.imports.rows import BadLine, Chunk, DamagedFile, RowReader, plain_name
from core.ports.store import Store
from core.records.stored import DeadLetter
from core.users.attributes import UserAttributes, parse_user, present

Attributes = Mapping[str, Any]
BATCH_USERS = 2_000  # per transaction
MAX_ROWS_OF_USER = 2  # on average; more are a file of events
MAP_COLUMN = "attributes"  # of an export: all of a user's attributes in one map


@dataclass(frozen=True, slots=True)
class UserColumns:
    """The column names of a users file. `attributes`: named as their columns; None: all other columns.

    A file with a column `attributes`, as an export has, gives the attributes by this map alone.
    """

    user_id: str = "user_id"
    attributes: tuple[str, ...] | None = None

    def attributes_in(self, existing: Sequence[str]) -> tuple[str, ...]:
        """The columns to read from a file with these columns."""
        if self.attributes is not None:
            return self.attributes
        if MAP_COLUMN in existing:
            return (MAP_COLUMN,)
        return tuple(name for name in existing if name != self.user_id)


def import_users(
    reader: RowReader,
    store: Store,
    *,
    columns: UserColumns,
    now_ms: int,
    keep_attributes: bool = False,
    progress: Progress | None = None,
    batch_users: int = BATCH_USERS,
) -> KnownRowsReport:
    """Replace the attributes of the users of a file; bad lines become dead letters.

    Users who were erased, and have no event since, stay erased. `keep_attributes`: attributes that a user has and the
    row does not name stay. Raises as `core.imports.item_import.import_items`.
    """
    report, names = KnownRowsReport(), columns.attributes_in(reader.columns)
    try:
        for num_lines, users, bad in _chunks(reader, columns, names, batch_users):
            report.num_rows += num_lines
            report.check_bad(reader.name, bad, is_last=num_lines < batch_users)
            stored = _apply(store, plain_name(reader.name), users, bad, now_ms, keep=keep_attributes)
            report.num_erased += len(users) - len(stored)
            for attributes, known in stored:
                report.note_row(attributes, known)
            report.note_bad(bad)
            if progress is not None:
                progress(reader.bytes_read, reader.size)
    except DamagedFile as error:
        raise BrokenImport(str(error), report) from None
    return report


def read_users(
    reader: RowReader, *, columns: UserColumns, on_bad: Callable[[Sequence[BadLine]], None]
) -> Iterator[UserAttributes]:
    """The users of a file in its order; bad lines are reported. Raises as `import_users` does."""
    names, report = columns.attributes_in(reader.columns), ImportReport()
    for num_lines, users, bad in _chunks(reader, columns, names, BATCH_USERS):
        report.num_rows += num_lines
        report.check_bad(reader.name, bad, is_last=num_lines < BATCH_USERS, stores=False)
        yield from users
        report.note_bad(bad)
        on_bad(bad)


def _apply(
    store: Store, name: str, users: Sequence[UserAttributes], bad: Sequence[BadLine], now_ms: int, *, keep: bool
) -> list[tuple[Attributes, Attributes | None]]:
    """One transaction; returns the attributes of each row with those before it, None: of a new user.

    Rows of erased users are left out.
    """
    user_ids = sorted({user.user_id for user in users})
    dead_letters = [DeadLetter(name, 0, line.line, line.reason, line.raw, now_ms) for line in bad]

    def apply() -> list[tuple[Attributes, Attributes | None]]:
        stored: list[tuple[Attributes, Attributes | None]] = []
        with store.transaction() as tx:
            known = {user.user_key for user in tx.users.lock_ids(user_ids).values()}
            states = tx.users.lock(user_ids, unless_erased=dict.fromkeys(user_ids, 0))
            before: dict[int, Attributes] = {key: {} for key in known}
            before |= tx.user_attributes.by_key(sorted(known))
            changed: dict[int, Attributes] = {}
            for user in users:
                if user.user_id in states:
                    key = states[user.user_id].key
                    kept = before.get(key, {}) if keep else {}
                    changed[key] = {**kept, **present(user.attributes)}
                    stored.append((changed[key], before.get(key)))
                    before[key] = changed[key]
            tx.user_attributes.save(changed)
            if dead_letters:
                tx.dead_letters.add(dead_letters)
            tx.commit()
        return stored

    return retried(apply)


def _chunks(
    reader: RowReader, columns: UserColumns, names: Sequence[str], size: int
) -> Iterator[tuple[int, list[UserAttributes], list[BadLine]]]:
    """The file in chunks: the number of lines, their users and the bad lines."""
    for chunk in reader.chunks((columns.user_id,), optional=names, size=size):
        num_lines, users = chunk.num_lines, _users(chunk, names)
        num_distinct = len({user.user_id for user in users})
        if num_distinct * MAX_ROWS_OF_USER < len(users):
            msg = (
                f"{reader.name}: wanted one row for each user, got {len(users):,} rows of {num_distinct:,} users; "
                "if it is a file of events, import it with --events"
            )
            raise InvalidInput(msg)
        yield num_lines, users, chunk.bad


def _users(chunk: Chunk, names: Sequence[str]) -> list[UserAttributes]:
    """The users of a chunk; invalid rows are added to its bad lines."""
    users: list[UserAttributes] = []
    for index, (user_id, *values) in enumerate(chunk.rows):
        try:
            users.append(parse_user({"user_id": id_text(user_id), "attributes": _attributes(names, values)}))
        except InvalidInput as error:
            chunk.reject(index, str(error))
    chunk.bad.sort(key=lambda bad: bad.line)
    return users


def _attributes(names: Sequence[str], values: Sequence[Any]) -> object:
    trimmed = [value.strip() if isinstance(value, str) else value for value in values]
    if list(names) == [MAP_COLUMN]:
        return _decoded(trimmed[0])
    return {name: value for name, value in zip(names, trimmed, strict=True) if value not in (None, "")}


def _decoded(value: object) -> object:
    """A map, also as JSON text; anything else stays, and is refused with its field's name."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value else None
    except ValueError:
        return value
