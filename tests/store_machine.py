"""A state machine over all use cases that change a store, against plain Python: hypothesis chooses the steps.

Events of several writers in any order, late, repeated; undone events, merged and erased users, their attributes;
rebuilds; items put, patched and removed; models promoted and rolled back; backups restored. Each step is checked by
what it returns, the whole store at the end of each run.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from corrected_shop import DAY_MS, DERIVATION, KINDS, TYPES, USERS, ShopLog, assert_equal
from domain_doubles import NOW_MS, ingestor
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.catalogue.items import Item
from core.clock import ManualClock
from core.corrections.erase import erase_user
from core.corrections.merge import merge_users
from core.corrections.undo import undo_event
from core.errors import InvalidInput, NotFound
from core.events.interactions import Interaction
from core.ingestion.sources import RequestSource, StreamSource
from core.learn import versions
from core.manage import patch_items, remove_item, save_items
from core.ports.store import Store
from core.records.statuses import EventStatus, ModelStatus
from core.records.stored import ModelRecord
from core.users.attributes import UserAttributes
from core.users.manage import patch_users, save_users

ITEMS = ("tea", "mug", "lamp", "rope")
PARTITION_OF = {user_id: index % 2 for index, user_id in enumerate(USERS)}
STREAM = "interactions"

Drawn = tuple[str, str, str, int, float | None]  # user, item, type, time in three hours from now, value

users = st.sampled_from(USERS)
items = st.sampled_from(ITEMS)
# One number an event: each number that hypothesis draws costs .1 ms, an event of five a third of a step.
PLACES = [0, *(sign * hours for hours in range(1, 41) for sign in (1, -1))]
FIELDS = (USERS, ITEMS, KINDS, PLACES, (None, 1.0, 4.0))


def drawn_event(number: int) -> Drawn:
    """A value of each field: the digits of a number."""
    chosen: list[Any] = []
    for values in FIELDS:
        number, index = divmod(number, len(values))
        chosen.append(values[index])
    return tuple(chosen)


new_events = st.lists(st.integers(0, math.prod(map(len, FIELDS)) - 1).map(drawn_event), min_size=1, max_size=8)


@dataclass
class Expected:
    """What the store must hold: `sent` are all events by id, `offsets` the log of each partition."""

    log: ShopLog = field(default_factory=ShopLog)
    sent: list[Interaction] = field(default_factory=list)
    partitions: dict[int, list[Interaction]] = field(default_factory=lambda: {0: [], 1: []})
    applied: dict[int, int] = field(default_factory=lambda: {0: 0, 1: 0})
    attributes: dict[str, dict[str, int]] = field(default_factory=dict)  # of users by their own id
    hidden: dict[str, bool] = field(default_factory=dict)  # of the items in the catalogue
    promoted: list[tuple[str, str | None]] = field(default_factory=list)  # (version, the one before)
    champion: str | None = None

    def saved(self) -> Expected:
        """What a backup made now holds; what was sent, and the log of Kafka, stay as they are, also after a restore."""
        return replace(
            self,
            log=self.log.copy(),
            applied=dict(self.applied),
            attributes={user_id: dict(values) for user_id, values in self.attributes.items()},
            hidden=dict(self.hidden),
            promoted=list(self.promoted),
        )


class StoreMachine(RuleBasedStateMachine):
    """Subclasses open an empty store, copy it and open copies."""

    few_steps: ClassVar[int]  # in a run of all tests
    between_backups: ClassVar[int] = 20  # steps at least: a file is copied and opened in the time of ten others
    num_steps: ClassVar[int] = 0  # of all runs of a class, each with its beginning
    num_restored: ClassVar[int] = 0

    def open(self) -> Store:
        raise NotImplementedError

    def backup(self) -> Any:
        """A copy of the store, which `restored` opens."""
        raise NotImplementedError

    def restored(self, saved: Any) -> Store:
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        self.store = self.open()
        self.expected = Expected()
        self.saved: tuple[Any, Expected] | None = None
        self.num_done = 0  # steps of this run
        self.saved_at = self.restored_at = 0  # by their number

    @invariant()
    def count(self) -> None:
        """Called after each step."""
        type(self).num_steps += 1
        self.num_done += 1

    @rule(drawn=new_events, writer=st.sampled_from(["api-1", "api-2"]))
    def post(self, drawn: list[Drawn], writer: str) -> None:
        """New events by a request."""
        self._ingest(self._made(drawn), writer)

    @precondition(lambda self: self.expected.sent)
    @rule(data=st.data())
    def post_again(self, data: st.DataObject) -> None:
        """Events that were sent before."""
        sent = self.expected.sent
        chosen = data.draw(st.lists(st.integers(0, len(sent) - 1), min_size=1, max_size=4))
        self._ingest([sent[index] for index in chosen], "api-1")

    @rule(drawn=new_events)
    def publish(self, drawn: list[Drawn]) -> None:
        """New messages in the log of each user's partition."""
        for event in self._made(drawn):
            self.expected.partitions[PARTITION_OF[event.user_id]].append(event)

    @rule(partition=st.integers(0, 1), back=st.integers(0, 5), num=st.integers(1, 8))
    def consume(self, partition: int, back: int, num: int) -> None:
        """A worker reads on, or again from an earlier offset, as after a crash."""
        messages, applied = self.expected.partitions[partition], self.expected.applied[partition]
        first = max(0, applied - back)
        chosen = messages[first : first + num]
        if not chosen:
            return
        source = StreamSource(STREAM, partition, range(first, first + len(chosen)), first, first + len(chosen) - 1)
        ingestor(self.store, types=TYPES).ingest(chosen, source)
        self.expected.log.send(chosen[max(0, applied - first) :])
        self.expected.applied[partition] = max(applied, first + len(chosen))

    @precondition(lambda self: self.expected.sent)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(self.expected.sent))
        try:
            undo_event(self.store, event.event_id, DERIVATION)
        except NotFound:
            assert event.event_id not in self.expected.log.known()
        self.expected.log.undo(event.event_id)

    @rule(user_id=users, from_id=users)
    def merge(self, user_id: str, from_id: str) -> None:
        with suppress(InvalidInput):
            merge_users(self.store, user_id, from_id, DERIVATION)
        log, attributes = self.expected.log, self.expected.attributes
        is_new = from_id not in log.owner and from_id != log.owner.get(user_id, user_id)
        log.merge(user_id, from_id)
        if is_new:
            own = log.owner[from_id]
            attributes[own] = {**attributes.pop(from_id, {}), **attributes.get(own, {})}

    @rule(user_id=users)
    def erase(self, user_id: str) -> None:
        try:
            erase_user(self.store, user_id, clock=ManualClock(NOW_MS), derivation=DERIVATION)
        except NotFound:
            assert not self.expected.log.history(user_id)
        self.expected.attributes.pop(self._owner(user_id), None)
        self.expected.log.erase(user_id)

    @rule(user_id=users, name=st.sampled_from(["age", "level"]), value=st.integers(0, 3), patched=st.booleans())
    def set_attribute(self, user_id: str, name: str, value: int, patched: bool) -> None:
        """0 removes it."""
        entry = UserAttributes(user_id, {name: value or None})
        if patched:
            assert patch_users(self.store, [entry]) == [None]
        else:
            save_users(self.store, [entry])
        self.expected.log.created.add(self._owner(user_id))
        known = self.expected.attributes.get(self._owner(user_id), {}) if patched else {}
        kept = {**known, name: value}
        self.expected.attributes[self._owner(user_id)] = {name: value for name, value in kept.items() if value}

    @rule(item_id=items, hidden=st.booleans())
    def put_item(self, item_id: str, hidden: bool) -> None:
        save_items(self.store, [Item(item_id, title=item_id, hidden=hidden)], clock=ManualClock(NOW_MS))
        self.expected.hidden[item_id] = hidden

    @rule(item_id=items, hidden=st.booleans())
    def patch_item(self, item_id: str, hidden: bool) -> None:
        patches = [{"item_id": item_id, "hidden": hidden}]
        _, [problem] = patch_items(self.store, patches, clock=ManualClock(NOW_MS))
        assert (problem is None) == (item_id in self.expected.hidden)
        if problem is None:
            self.expected.hidden[item_id] = hidden

    @rule(item_id=items)
    def remove_item(self, item_id: str) -> None:
        try:
            remove_item(self.store, item_id, clock=ManualClock(NOW_MS))
        except NotFound:
            assert item_id not in self.expected.hidden
        self.expected.hidden.pop(item_id, None)

    @rule(version=st.sampled_from(["m1", "m2", "m3"]))
    def promote(self, version: str) -> None:
        with self.store.transaction() as tx:
            if version not in {record.version for record in tx.models.lock()}:
                versions.propose(tx, ModelRecord(version, version, ModelStatus.CHALLENGER, NOW_MS))
            try:
                versions.promote(tx, version, decided_by="test", reason="", now_ms=NOW_MS)
            except InvalidInput:
                assert self.expected.champion == version
                return
            tx.commit()
        self.expected.promoted.append((version, self.expected.champion))
        self.expected.champion = version

    @rule()
    def roll_back(self) -> None:
        before = next((old for new, old in reversed(self.expected.promoted) if new == self.expected.champion), None)
        with self.store.transaction() as tx:
            try:
                versions.roll_back(tx, decided_by="test", reason="", now_ms=NOW_MS)
            except NotFound:
                assert before is None
                return
            tx.commit()
        assert before is not None
        self.expected.champion = before

    @precondition(lambda self: self.num_done >= self.saved_at + self.between_backups)
    @rule()
    def save(self) -> None:
        self.saved_at = self.num_done
        self.saved = (self.backup(), self.expected.saved())

    @precondition(lambda self: self.saved and self.num_done >= self.restored_at + self.between_backups)
    @rule()
    def restore(self) -> None:
        """The state of the backup; what happened since is lost, but stays in the log of Kafka."""
        assert self.saved is not None
        saved, expected = self.saved
        self.restored_at = self.num_done
        type(self).num_restored += 1
        self.store.close()
        self.store = self.restored(saved)
        self.expected = expected.saved()

    def teardown(self) -> None:
        if hasattr(self, "store"):
            try:
                self.check()
            finally:
                self.store.close()

    def _owner(self, user_id: str) -> str:
        return self.expected.log.owner.get(user_id, user_id)

    def _made(self, drawn: list[Drawn]) -> list[Interaction]:
        first = len(self.expected.sent)
        made = [
            Interaction(f"event-{first + index}", user_id, item_id, kind, NOW_MS + place * DAY_MS // 8, value)
            for index, (user_id, item_id, kind, place, value) in enumerate(drawn)
        ]
        self.expected.sent += made
        return made

    def _ingest(self, events: list[Interaction], writer: str) -> None:
        result = ingestor(self.store, types=TYPES).ingest(events, RequestSource(writer))
        before = len(self.expected.log.known())
        self.expected.log.send(events)
        assert result.statuses.count(EventStatus.ACCEPTED) == len(self.expected.log.known()) - before

    def check(self) -> None:
        expected = self.expected
        assert_equal(self.store, expected.log)
        with self.store.read() as read:
            stored = read.items.by_id(ITEMS)
            hidden = {item_id: item.item.hidden for item_id, item in stored.items() if item.in_catalogue}
            attributes = {user_id: dict(read.user_attributes.of(user_id)) for user_id in USERS}
            champions = [record.version for record in read.models.all() if record.status == ModelStatus.CHAMPION]
            applied = {number: offset + 1 for number, offset in read.offsets.applied(STREAM).items()}
        assert hidden == expected.hidden
        assert attributes == {user_id: expected.attributes.get(self._owner(user_id), {}) for user_id in USERS}
        assert champions == [expected.champion] * (expected.champion is not None)
        assert applied == {number: num for number, num in expected.applied.items() if num}
