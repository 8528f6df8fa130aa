"""Dead letters: rejected input, kept with the reason, to be retried or discarded.

A retry decodes the payload again and applies it like any event. The same transaction deletes the dead letter, or stores
its new reason and the number of retries, so that a killed retry has happened completely or not at all.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import InvalidInput, StoreError
from core.events.interactions import Interaction
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import RequestSource
from core.ports.store import Store, Transaction
from core.records.stored import DeadLetter

PAGE = 100  # dead letters in one transaction; each may hold a mebibyte
SOURCE = RequestSource("dead-letters")

Decode = Callable[
    [DeadLetter], tuple[Sequence[Interaction], Sequence[str]]
]  # the events, and the reasons for those that are invalid


@dataclass(slots=True)
class RetryReport:
    """The result of a retry. `failures`: the dead letters that remain, with their new reasons."""

    num_retried: int = 0
    num_accepted: int = 0
    failures: list[DeadLetter] = field(default_factory=list)

    @property
    def num_succeeded(self) -> int:
        """How many were deleted, because all their events are applied."""
        return self.num_retried - len(self.failures)


def dead_letter_json(dead_letter: DeadLetter) -> dict[str, Any]:
    """A dead letter as JSON; a payload that is not UTF-8 as base64."""
    try:
        payload = {"payload": dead_letter.payload.decode()}
    except UnicodeDecodeError:
        payload = {"payload_base64": base64.b64encode(dead_letter.payload).decode()}
    return {
        "key": dead_letter.key,
        "source": dead_letter.source,
        "partition": dead_letter.partition,
        "offset": dead_letter.offset,
        "reason": dead_letter.reason,
        "retries": dead_letter.num_retries,
        "time": dead_letter.time_ms,
        **payload,
    }


def _pages(store: Store, *, source: str | None, keys: Collection[int] | None) -> Iterator[list[DeadLetter]]:
    """The matching dead letters, oldest first, in pages; None matches every source, or every key."""
    after = min(keys) - 1 if keys else 0
    while True:
        with store.read() as read:
            page = read.dead_letters.page(after=after, limit=PAGE)
        if not page:
            return
        matching = [
            dead_letter
            for dead_letter in page
            if (keys is None or dead_letter.key in keys) and source in (None, dead_letter.source)
        ]
        if matching:
            yield matching
        after = _key(page[-1])


def retry(
    store: Store, ingestor: Ingestor, decode: Decode, *, source: str, keys: Collection[int] | None = None
) -> RetryReport:
    """Retry the dead letters of a source, all or those with these keys."""
    report = RetryReport()
    for page in _pages(store, source=source, keys=keys):
        try:
            _retry(page, ingestor, decode, report)
        except StoreError:
            raise
        except Exception:  # one of them fails: retry each alone
            for dead_letter in page:
                _retry_alone(dead_letter, ingestor, decode, report)
    return report


def discard(store: Store, *, source: str | None, keys: Collection[int] | None) -> int:
    """Delete dead letters; returns how many."""
    total = 0
    for page in _pages(store, source=source, keys=keys):
        with store.transaction() as tx:
            total += tx.dead_letters.delete([_key(dead_letter) for dead_letter in page])
            tx.commit()
    return total


def _retry(dead_letters: Sequence[DeadLetter], ingestor: Ingestor, decode: Decode, report: RetryReport) -> None:
    """Apply the valid events and update the dead letters, in one transaction."""
    events: list[Interaction] = []
    failed = []
    for dead_letter in dead_letters:
        decoded_events, reasons = decode(dead_letter)
        events += decoded_events
        if reasons:
            failed.append(_again(dead_letter, reasons[0]))
    _apply(events, dead_letters, failed, ingestor, report)


def _retry_alone(dead_letter: DeadLetter, ingestor: Ingestor, decode: Decode, report: RetryReport) -> None:
    try:
        _retry([dead_letter], ingestor, decode, report)
    except StoreError:
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, InvalidInput) else f"{type(error).__name__}: {error}"
        _apply([], [dead_letter], [_again(dead_letter, reason)], ingestor, report)


def _apply(
    events: Sequence[Interaction],
    dead_letters: Sequence[DeadLetter],
    failed: Sequence[DeadLetter],
    ingestor: Ingestor,
    report: RetryReport,
) -> None:
    kept = {dead_letter.key for dead_letter in failed}
    settled = [_key(dead_letter) for dead_letter in dead_letters if dead_letter.key not in kept]

    def settle(tx: Transaction) -> None:
        tx.dead_letters.delete(settled)
        tx.dead_letters.update(failed)

    result = ingestor.ingest(events, SOURCE, extra_writes=settle)
    report.num_retried += len(dead_letters)
    report.num_accepted += result.num_accepted
    report.failures += failed


def _again(dead_letter: DeadLetter, reason: str) -> DeadLetter:
    return replace(dead_letter, reason=reason, num_retries=dead_letter.num_retries + 1)


def _key(dead_letter: DeadLetter) -> int:
    assert dead_letter.key is not None, "a stored dead letter has a key"
    return dead_letter.key
