"""Answers and their events on real connections: each outcome counts once, whichever transaction comes first."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

from domain_doubles import NOW_MS, SHAPE, TYPES, ingestor
from outcome_log import PlainItems
from services.databases import Database

from core.clock import ManualClock
from core.corrections.erase import erase_user
from core.errors import StoreConflict
from core.events.interactions import Interaction
from core.ingestion.derivation import Derivation
from core.ingestion.sources import RequestSource
from core.outcomes.answer_log import AnswerLog
from core.outcomes.attribution import Attributor
from core.ports.store import Store
from core.records.outcomes import Answer, Measure, Origin, new_recommendation_id
from storage import open_store

NUM_ANSWERS = 12
ITEMS = ("lamp", "mug", "rope")
WAIT_S = 60


def answers(user_id: str) -> list[Answer]:
    times_ms = [NOW_MS + number for number in range(NUM_ANSWERS)]
    return [Answer(new_recommendation_id(at), user_id, at, Origin("home"), ITEMS) for at in times_ms]


def log_of(store: Store) -> AnswerLog:
    clock = ManualClock(NOW_MS)
    return AnswerLog(store, Attributor(TYPES), PlainItems(), clock=clock, wall=clock)


def remember(store: Store, given: list[Answer]) -> None:
    """One by one, as a process that writes often; a conflict is retried, as the thread does."""
    log = log_of(store)
    for answer in given:
        log.add(answer)
        while log.num_waiting:
            with suppress(StoreConflict):
                log.flush()


def click(store: Store, user_id: str, given: list[Answer], writer: str) -> None:
    """Click on the second item of each answer, one transaction each."""
    applier = ingestor(store)
    for number, answer in enumerate(given):
        about = {"recommendation_id": answer.recommendation_id}
        event = Interaction(f"{user_id}-{number}", user_id, ITEMS[1], "click", answer.time_ms + 1, **about)
        applier.ingest([event], RequestSource(writer))


def at_once(database: Database, *tasks: Callable[[Store], None]) -> None:
    """Run each task on connections of its own."""

    def run(task: Callable[[Store], None]) -> None:
        with closing(open_store(database.url)) as store:
            task(store)

    with ThreadPoolExecutor(len(tasks)) as pool:
        for done in [pool.submit(run, task) for task in tasks]:
            done.result(WAIT_S)


def counts(store: Store) -> dict[int, int]:
    """The numbers by measure, once nothing is deferred."""
    log_of(store).flush()
    with store.read() as read:
        totals = read.outcomes.totals("origin", since_day=0, until_day=10**6)
    return {measure: num for _, measure, num, _ in totals if num}


def test_items_clicked_beside_the_writing_of_their_answers_count_once(database: Database) -> None:
    own, other = answers("ann"), answers("bob")
    at_once(
        database,
        lambda store: remember(store, own),
        lambda store: remember(store, other),
        lambda store: click(store, "ann", own + other, "first"),
        lambda store: click(store, "bob", own + other, "second"),
    )
    num = 2 * NUM_ANSWERS
    measured = {Measure.IMPRESSION: num, Measure.CLICK: num, Measure.SHOWN: num * len(ITEMS), Measure.ANSWER: num}
    assert counts(database.store) == measured


def test_an_erased_user_has_no_answer_left_and_none_is_counted(database: Database) -> None:
    given = answers("ann")
    click(database.store, "ann", given[:1], "setup")

    def erase(store: Store) -> None:
        erase_user(store, "ann", clock=ManualClock(NOW_MS + 10_000), derivation=Derivation(TYPES, SHAPE))

    at_once(database, lambda store: remember(store, given), erase)
    assert counts(database.store) == {}
    with database.store.read() as read:
        assert read.answers.by_key([bytes.fromhex(answer.recommendation_id) for answer in given]) == {}
