"""Answers, events and corrections in any order, and what must be counted: a recount from the rules by plain Python."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from domain_doubles import NOW_MS, SHAPE, TYPES, ingestor
from hypothesis import strategies as st

from core.clock import DAY_MS, ManualClock
from core.corrections.erase import erase_user
from core.corrections.merge import merge_users
from core.corrections.undo import undo_event
from core.errors import InvalidInput, NotFound
from core.events.interactions import Interaction
from core.ingestion.derivation import Derivation
from core.ingestion.rebuild import rebuild
from core.ingestion.sources import RequestSource
from core.ingestion.verify import verify
from core.outcomes.answer_log import AnswerLog
from core.outcomes.shown_items import ShownItem
from core.popularity import DEFAULT_HALF_LIFE_MS
from core.ports.store import Store
from core.records.item_counts import measure_of_type
from core.records.outcomes import Answer, Measure, Origin, new_recommendation_id
from core.records.statuses import EventStatus

USERS = ("ann", "bob", "cid")
ITEMS = ("lamp", "mug", "rope", "tent")
WINDOWS_S = {"click": 3600, "purchase": 86_400, "impression": 0}
MEASURES = {"click": Measure.CLICK, "purchase": Measure.CONVERSION, "impression": Measure.IMPRESSION}
DAY_S = 86_400
AFTER_ALL_MS = NOW_MS + 10**9
API = RequestSource("api")
DERIVATION = Derivation(TYPES, SHAPE)

Step = tuple[str, Any]
Cell = tuple[int, str, int, Measure]  # day, scenario, position, measure
Sums = dict[tuple[int | str, Measure], tuple[int, float]]  # by group and measure

users, items = st.sampled_from(USERS), st.sampled_from(ITEMS)
times_s = st.integers(0, 30).map(lambda hour: hour * 3000)  # windows end between two of them
lists = st.lists(items, min_size=1, max_size=3, unique=True)
an_answer = st.tuples(st.none() | users, lists, st.sampled_from(["", "home"]), times_s)
an_event = st.tuples(users, items, st.sampled_from(list(WINDOWS_S)), times_s, st.none() | st.integers(0, 5))
a_step = st.one_of(
    st.tuples(st.just("answer"), an_answer),
    st.tuples(st.just("event"), an_event),
    st.tuples(st.just("event"), an_event),
    st.tuples(st.just("flush"), st.none()),
    st.tuples(st.just("redeliver"), st.integers(0, 20)),
    st.tuples(st.just("undo"), st.integers(0, 20)),
    st.tuples(st.just("merge"), st.tuples(users, users)),
    st.tuples(st.just("erase"), users),
)
step_lists = st.lists(a_step, max_size=25)


def random_steps(draw: Random, num: int = 40) -> list[Step]:
    """Steps as those of `step_lists`, for tests without hypothesis."""
    steps: list[Step] = []
    for _ in range(num):
        user, item, at_s = draw.choice(USERS), draw.choice(ITEMS), draw.randint(0, 30) * 3000
        shown = draw.sample(ITEMS, draw.randint(1, 3))
        named = draw.choice([None, draw.randint(0, 5)])
        step = draw.choice(
            [
                ("answer", (draw.choice([None, user]), shown, draw.choice(["", "home"]), at_s)),
                ("answer", (user, shown, "home", at_s)),
                ("event", (user, item, draw.choice(list(WINDOWS_S)), at_s, named)),
                ("event", (user, item, draw.choice(list(WINDOWS_S)), at_s, named)),
                ("event", (user, item, "click", at_s, named)),
                ("flush", None),
                ("redeliver", draw.randint(0, 20)),
                ("undo", draw.randint(0, 20)),
                ("merge", (user, draw.choice(USERS))),
                ("erase", user),
            ]
        )
        steps.append(step)
    return steps


class PlainItems:
    """Items without novelty, none of them new; keys as the store has them."""

    def facts(self, item_ids: Any, *, now_ms: int) -> dict[str, ShownItem]:
        return {}


@dataclass
class GivenAnswer:
    """An answer, and what became of it: "waiting", "stored" or "gone"."""

    answer: Answer
    user_id: str | None
    status: str = "waiting"


@dataclass
class SentEvent:
    """An event, the answer that it is attributed to, or the one that it waits for."""

    event: Interaction
    live: bool = True
    answer: GivenAnswer | None = None
    awaited: str | None = None


@dataclass
class OutcomeShop:
    """A store with its ingest and answer log, and the reference beside it."""

    store: Store
    answers: list[GivenAnswer] = field(default_factory=list)
    events: list[SentEvent] = field(default_factory=list)
    owner: dict[str, str] = field(default_factory=dict)  # merged ids
    known: set[str] = field(default_factory=set)
    marked: set[str] = field(default_factory=set)  # erased ids

    def __post_init__(self) -> None:
        self.ingestor = ingestor(self.store)
        self.clock = clock = ManualClock(NOW_MS)
        self.log = AnswerLog(self.store, self.ingestor.attributor, PlainItems(), clock=clock, wall=clock)

    def apply(self, steps: list[Step]) -> None:
        for kind, arguments in steps:
            getattr(self, kind)(arguments)

    def answer(self, given: tuple[str | None, list[str], str, int]) -> None:
        user_id, shown, scenario, at_s = given
        time_ms = NOW_MS + at_s * 1000
        answer = Answer(new_recommendation_id(time_ms), user_id, time_ms, Origin(scenario), tuple(shown))
        self.answers.append(GivenAnswer(answer, user_id))
        self.log.add(answer)

    def flush(self, _: object = None) -> None:
        self.log.flush()
        for given in self.answers:
            if given.status == "waiting":
                given.status = "gone" if given.user_id in self.marked else "stored"
                given.user_id = given.user_id and self._owner(given.user_id)
        for sent in self.events:
            answer = self._stored(sent.awaited)
            if sent.live and answer is not None:
                self._attribute(sent, answer)
                sent.awaited = None

    def event(self, given: tuple[str, str, str, int, int | None]) -> None:
        user_id, item_id, kind, at_s, named = given
        answer_id = None
        if named is not None:
            answer_id = (
                self.answers[named].answer.recommendation_id if named < len(self.answers) else "another system's"
            )
        time_ms, event_id = NOW_MS + at_s * 1000, f"e{len(self.events)}"
        event = Interaction(event_id, user_id, item_id, kind, time_ms, 2.5, recommendation_id=answer_id)
        sent = SentEvent(event, live=False)
        self.events.append(sent)
        if self.ingestor.ingest([event], API).statuses != [EventStatus.ACCEPTED]:
            return
        self.known.add(self._owner(user_id))
        sent.live = True
        answer = self._stored(answer_id) if answer_id else self._newest(event)
        if answer is not None:
            self._attribute(sent, answer)
        elif answer_id is not None:
            sent.awaited = answer_id

    def redeliver(self, index: int) -> None:
        if self.events:
            sent = self.events[index % len(self.events)]
            if sent.live:
                assert self.ingestor.ingest([sent.event], API).statuses == [EventStatus.DUPLICATE]

    def undo(self, index: int) -> None:
        live = [sent for sent in self.events if sent.live]
        if live:
            sent = live[index % len(live)]
            undo_event(self.store, sent.event.event_id, DERIVATION)
            sent.live = False

    def merge(self, given: tuple[str, str]) -> None:
        user_id, from_id = given
        try:
            merge_users(self.store, user_id, from_id, DERIVATION)
        except InvalidInput:
            return
        if self._owner(user_id) == self._owner(from_id):
            return
        owner = self._owner(user_id)
        for name in USERS:
            if self._owner(name) == from_id:
                self.owner[name] = owner
        self.known = {self._owner(name) for name in (*self.known, user_id)}
        for given_answer in self.answers:
            if given_answer.status == "stored" and given_answer.user_id == from_id:
                given_answer.user_id = owner

    def erase(self, user_id: str) -> None:
        try:
            erase_user(self.store, user_id, clock=ManualClock(AFTER_ALL_MS), derivation=DERIVATION)
        except NotFound:
            assert self._owner(user_id) not in self.known
            return
        owner = self._owner(user_id)
        names = {name for name in USERS if self._owner(name) == owner}
        for sent in self.events:
            if sent.event.user_id in names:
                sent.live = False
        for given in self.answers:
            if given.status == "stored" and given.user_id in names:
                given.status = "gone"
        if owner in self.known:
            self.marked |= names
            self.known.discard(owner)
            self.owner = {name: kept for name, kept in self.owner.items() if kept != owner}

    def rebuild(self) -> None:
        rebuild(
            self.store,
            types=TYPES,
            shape=SHAPE,
            half_life_ms=DEFAULT_HALF_LIFE_MS,
            meta={},
            progress=lambda _: None,
        )

    def expected(self) -> dict[Cell, tuple[int, float]]:
        """What must be counted now."""
        counted: set[tuple[int, Cell]] = set()
        revenue: Counter[Cell] = Counter()
        for given in self.answers:
            if given.status == "stored":
                shown = range(1, len(given.answer.item_ids) + 1)
                counted |= {(id(given), _cell(given, position, Measure.SHOWN)) for position in shown}
                counted.add((id(given), _cell(given, 0, Measure.ANSWER)))
        for sent in self.events:
            if sent.live and sent.answer is not None:
                position = sent.answer.answer.item_ids.index(sent.event.item_id) + 1
                for measure in (Measure.IMPRESSION, MEASURES[sent.event.type]):
                    counted.add((id(sent.answer), _cell(sent.answer, position, measure)))
                if sent.event.type == "purchase":
                    revenue[_cell(sent.answer, position, Measure.CONVERSION)] += 2.5  # type: ignore[assignment]
                    counted.add((id(sent.answer), _cell(sent.answer, 0, Measure.REVENUE)))
        for given in self.answers:
            bought = sum(sent.live and sent.answer is given and sent.event.type == "purchase" for sent in self.events)
            revenue[_cell(given, 0, Measure.REVENUE)] += (2.5 * bought) ** 2  # type: ignore[assignment]
        return {cell: (num, revenue[cell]) for cell, num in Counter(cell for _, cell in counted).items()}

    def expected_by_item(self) -> Counter[tuple[str, int, int]]:
        """What must be counted now by item, day and measure."""
        counted: set[tuple[int, str, int, int]] = set()
        events: Counter[tuple[str, int, int]] = Counter()
        for given in self.answers:
            if given.status == "stored":
                day = given.answer.time_ms // DAY_MS
                counted |= {(id(given), item_id, day, Measure.SHOWN) for item_id in given.answer.item_ids}
        for sent in (sent for sent in self.events if sent.live):
            item_id, measure = sent.event.item_id, measure_of_type(TYPES.codes[sent.event.type])
            events[item_id, sent.event.time_ms // DAY_MS, measure] += 1
            if sent.answer is not None:
                day = sent.answer.answer.time_ms // DAY_MS
                counted.add((id(sent.answer), item_id, day, Measure.IMPRESSION))
                counted.add((id(sent.answer), item_id, day, MEASURES[sent.event.type]))
        return events + Counter((item_id, day, measure) for _, item_id, day, measure in counted)

    def assert_counted_by_item(self) -> None:
        """The stored counts by item are those."""
        with self.store.read() as read:
            stored = read.items.by_id(ITEMS)
            names = {item.key: item_id for item_id, item in stored.items()}
            days = {"since_day": NOW_MS // DAY_MS - 2, "until_day": NOW_MS // DAY_MS + 4}
            counts = read.item_counts.of_items(list(names), measures=range(64), **days)
        assert {(names[key.item_key], key.day, key.measure): num for key, num in counts.items()} == dict(
            self.expected_by_item()
        )

    def assert_counted(self) -> None:
        """The stored counts are those, by each dimension."""
        self.assert_counted_by_item()
        expected = self.expected()
        with self.store.read() as read:
            origins = read.answers.origins()
            days = {"since_day": 0, "until_day": 10**6}
            by_day = _sums((row[0], *row[1:]) for row in read.outcomes.totals("day", **days))
            by_position = _sums((row[0], *row[1:]) for row in read.outcomes.totals("position", **days))
            assert not verify(read, Derivation(TYPES, SHAPE), progress=lambda _: None).examples
            by_scenario = _sums((origins[row[0]].scenario, *row[1:]) for row in read.outcomes.totals("origin", **days))
        assert by_day == _sums((cell[0], cell[3], *sums) for cell, sums in expected.items())
        assert by_scenario == _sums((cell[1], cell[3], *sums) for cell, sums in expected.items())
        assert by_position == _sums((cell[2], cell[3], *sums) for cell, sums in expected.items())

    def _owner(self, user_id: str) -> str:
        return self.owner.get(user_id, user_id)

    def _stored(self, answer_id: str | None) -> GivenAnswer | None:
        stored = (given for given in self.answers if given.status == "stored")
        return next((given for given in stored if given.answer.recommendation_id == answer_id), None)

    def _newest(self, event: Interaction) -> GivenAnswer | None:
        """The newest stored answer that showed the item to the user within the window."""
        first_ms = event.time_ms - WINDOWS_S[event.type] * 1000
        fitting = [
            given
            for given in self.answers
            if given.status == "stored"
            and WINDOWS_S[event.type]
            and given.user_id == event.user_id
            and event.item_id in given.answer.item_ids
            and first_ms <= given.answer.time_ms <= event.time_ms
        ]
        order = lambda given: (given.answer.time_ms, given.answer.recommendation_id)  # noqa: E731
        return max(fitting, key=order, default=None)

    def _attribute(self, sent: SentEvent, answer: GivenAnswer) -> None:
        if sent.event.item_id in answer.answer.item_ids:
            sent.answer = answer


def _cell(given: GivenAnswer, position: int, measure: Measure) -> Cell:
    return given.answer.time_ms // (DAY_S * 1000), given.answer.origin.scenario, position, measure


def _sums(rows: Any) -> Sums:
    """Sums by group and measure, without those that are 0."""
    sums: dict[tuple[int | str, Measure], tuple[int, float]] = {}
    for group, measure, num, value in rows:
        old = sums.get((group, Measure(measure)), (0, 0.0))
        sums[group, Measure(measure)] = (old[0] + num, round(old[1] + value, 6))
    return {name: total for name, total in sums.items() if total != (0, 0.0)}
