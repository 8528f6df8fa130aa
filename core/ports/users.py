"""The repository of users: sequence numbers, windows, locks and erasure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from core.records.stored import KnownId, ListedUser, UserShift, UserSnapshot, UserState, UserVersion


class UserReader(Protocol):
    """Reads users. The id of a user who was merged into another one means the other one."""

    def find(self, user_id: str) -> UserState | None:
        """A user's state, or None if the user is unknown."""
        ...

    def snapshot(
        self, user_id: str, *, type_codes: Sequence[int], known: UserSnapshot | None = None
    ) -> tuple[int, UserSnapshot | None]:
        """The item revision and a user's snapshot, None if the user is unknown; one statement.

        `type_codes`: the event types that the snapshot holds. `known`: an earlier one with the same types; returned as
        it is, and its columns are not read, if the user's sequence is still the same.
        """
        ...

    def version(self, user_id: str) -> tuple[int, UserVersion | None]:
        """The item revision and the version of a user's state, None if the user is unknown; one small statement."""
        ...

    def by_key(self, keys: Sequence[int]) -> list[UserState]:
        """The states of the users with these keys, also of merged ones, in ascending key; unknown keys are skipped."""
        ...

    def page(self, *, prefix: str = "", after: str = "", limit: int = 100) -> list[tuple[str, UserState]]:
        """Users in ascending id after `after` whose id begins with `prefix`."""
        ...

    def by_id(self, *, prefix: str = "", after: str = "", limit: int = 100) -> list[ListedUser]:
        """The same users as `page`, without their windows."""
        ...

    def by_activity(self, *, before: tuple[int, int] = (2**62, 0), limit: int = 100) -> list[ListedUser]:
        """Users in descending time of their newest windowed event, then key; those without one are missing.

        `before`: that time and the key of the last user of the page before. Reads what it returns, not all users.
        """
        ...

    def by_shift(self, *, before: tuple[int, int] = (2**62, 0), limit: int = 100) -> list[ListedUser]:
        """Users whose interest shifted, in descending time of the shift, then key; `before` as in `by_activity`."""
        ...

    def ids_of(self, key: int) -> list[str]:
        """All ids of the user with this key: the user's own, then those of users merged into it, ascending."""
        ...

    def erasure_times(self, user_ids: Sequence[str]) -> dict[str, int]:
        """When these users were erased (ms); users who were never erased are missing."""
        ...


class UserRepository(UserReader, Protocol):
    """Reads and writes users."""

    def lock(self, user_ids: Sequence[str], *, unless_erased: Mapping[str, int] | None = None) -> dict[str, UserState]:
        """The states of these users, created where they are new, locked until the transaction ends.

        An erased user starts again at the sequence of the erasure, with `erased_ms` set. But a new user who was erased
        at the time given in `unless_erased`, or later, is not created and is missing from the result. Raises
        `StoreConflict` where another transaction creates or erases one of the users at the same moment. For the id of
        a merged user: the other user's state, with the `erased_ms` of this id.
        """
        ...

    def lock_known(self, user_ids: Sequence[str]) -> dict[str, UserState]:
        """The states of those of these users that exist, locked until the transaction ends."""
        ...

    def new_states(
        self, user_ids: Sequence[str], *, unless_erased: Mapping[str, int] | None = None
    ) -> dict[str, UserState]:
        """The first states of users that do not exist, with keys of their own; nothing is stored. As in `lock`."""
        ...

    def insert(self, states: Mapping[str, UserState]) -> None:
        """Store users of `new_states`, as they are after their first events; raises `StoreConflict` as `lock` does."""
        ...

    def lock_ids(self, user_ids: Sequence[str]) -> dict[str, KnownId]:
        """What those of these ids that exist mean, locked until the transaction ends; cheaper than their states."""
        ...

    def lock_by_key(self, keys: Sequence[int]) -> list[UserState]:
        """The states of the users with these keys, in ascending key, locked until the transaction ends."""
        ...

    def merge(self, source: UserState, target: UserState) -> None:
        """Give a locked user's events and ids to another; sequences of events grow by that of `target`."""
        ...

    def save_shifts(self, shifts: Sequence[UserShift]) -> None:
        """Store the newest tests of locked users' interests."""
        ...

    def save(self, states: Sequence[UserState]) -> None:
        """Store sequence and window of locked users."""
        ...

    def erase(self, user_id: str, *, now_ms: int) -> bool:
        """Delete all data of a user except a keyed hash of each id with time and sequence; False if there was none."""
        ...

    def clear_windows(self) -> None:
        """Empty the window of every user; sequences stay."""
        ...
