"""Dead letters: input set aside, retried once what was in its way is gone, or discarded.

A retry takes the same way as every event: decoded as of now, applied by `core.ingestion.ingest`, and in the same
transaction the letter goes, or stays with its new reason and a count. So a retry that is killed has either happened or
not.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import InvalidInput, StoreError
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import RequestSource
from core.interactions import Interaction
from core.ports.store import Store, Transaction
from core.records import DeadLetter

PAGE = 100  # letters in one transaction; each may hold a mebibyte
SOURCE = RequestSource("dead-letters")

Decode = Callable[[DeadLetter], tuple[Sequence[Interaction], Sequence[str]]]  # events, and reasons why some are none


@dataclass(slots=True)
class Retried:
    """What became of retried letters. `failures`: those that stay, with their new reasons."""

    num_letters: int = 0
    num_accepted: int = 0
    failures: list[DeadLetter] = field(default_factory=list)

    @property
    def num_settled(self) -> int:
        """How many letters are gone, because all their events are applied."""
        return self.num_letters - len(self.failures)


def described(letter: DeadLetter) -> dict[str, Any]:
    """A letter for machines; a payload that is no text comes as base64."""
    try:
        payload = {"payload": letter.payload.decode()}
    except UnicodeDecodeError:
        payload = {"payload_base64": base64.b64encode(letter.payload).decode()}
    return {
        "key": letter.key,
        "source": letter.source,
        "partition": letter.partition,
        "offset": letter.offset,
        "reason": letter.reason,
        "retries": letter.num_retries,
        "time": letter.time_ms,
        **payload,
    }


def find(store: Store, *, source: str | None, keys: Collection[int] | None) -> Iterator[list[DeadLetter]]:
    """The wanted letters, oldest first, a page at a time; None for any source, or any key."""
    after = min(keys) - 1 if keys else 0
    while True:
        with store.read() as read:
            page = read.dead_letters.page(after=after, limit=PAGE)
        if not page:
            return
        wanted = [one for one in page if (keys is None or one.key in keys) and source in (None, one.source)]
        if wanted:
            yield wanted
        after = _key(page[-1])


def retry(
    store: Store, ingestor: Ingestor, decode: Decode, *, source: str, keys: Collection[int] | None = None
) -> Retried:
    """Apply the letters of a source (all, or these) again."""
    done = Retried()
    for page in find(store, source=source, keys=keys):
        try:
            _retry(page, ingestor, decode, done)
        except StoreError:
            raise
        except Exception:  # one of them is at fault: it must not hold the others up
            for letter in page:
                _retry_alone(letter, ingestor, decode, done)
    return done


def discard(store: Store, *, source: str | None, keys: Collection[int] | None) -> int:
    """Delete letters for good; how many."""
    total = 0
    for page in find(store, source=source, keys=keys):
        with store.transaction() as tx:
            total += tx.dead_letters.delete([_key(letter) for letter in page])
            tx.commit()
    return total


def _retry(letters: Sequence[DeadLetter], ingestor: Ingestor, decode: Decode, done: Retried) -> None:
    """Apply what can be, in one transaction with what that makes of the letters."""
    events: list[Interaction] = []
    failed = []
    for letter in letters:
        found, reasons = decode(letter)
        events += found
        if reasons:
            failed.append(_again(letter, reasons[0]))
    _apply(events, letters, failed, ingestor, done)


def _retry_alone(letter: DeadLetter, ingestor: Ingestor, decode: Decode, done: Retried) -> None:
    try:
        _retry([letter], ingestor, decode, done)
    except StoreError:
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, InvalidInput) else f"{type(error).__name__}: {error}"
        _apply([], [letter], [_again(letter, reason)], ingestor, done)


def _apply(
    events: Sequence[Interaction],
    letters: Sequence[DeadLetter],
    failed: Sequence[DeadLetter],
    ingestor: Ingestor,
    done: Retried,
) -> None:
    kept = {letter.key for letter in failed}
    settled = [_key(letter) for letter in letters if letter.key not in kept]

    def settle(tx: Transaction) -> None:
        tx.dead_letters.delete(settled)
        tx.dead_letters.update(failed)

    result = ingestor.ingest(events, SOURCE, also=settle)
    done.num_letters += len(letters)
    done.num_accepted += result.num_accepted
    done.failures += failed


def _again(letter: DeadLetter, reason: str) -> DeadLetter:
    return replace(letter, reason=reason, num_retries=letter.num_retries + 1)


def _key(letter: DeadLetter) -> int:
    assert letter.key is not None, "a stored letter has a key"
    return letter.key
