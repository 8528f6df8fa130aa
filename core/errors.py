"""Every error that Tidewise raises on purpose, and what an operator should do about it.

TidewiseError
|-- InvalidInput (also a ValueError)   what a caller sent cannot be used; nothing was changed
|   |-- InvalidEvent                   one interaction is malformed (becomes a rejection or a dead letter)
|   |-- InvalidItem                    one catalogue item is malformed
|   `-- InvalidSettings                a settings file, variable or flag cannot be used
|-- NotFound                           a named thing does not exist
|-- NotReady                           the system cannot answer yet (no model, still starting)
|-- Overloaded                         a queue is full: try again later
|-- CheckpointError                    a model on disk is missing, damaged or from another layout
|-- StoreError                         the database refused
|   |-- StoreUnavailable               it is away or too slow: try again later
|   |-- StoreConflict                  a concurrent writer won: the transaction may be run again
|   |-- LeaseLost                      another process fills the role now: write nothing more in it
|   `-- StoreMismatch                  the database was made by other settings or another version
`-- StreamError
    |-- StreamUnavailable              Kafka is away or refuses: try again later
    |   `-- TopicMissing               it is there, but nobody has made the topic yet
    |-- PartitionLost                  other workers own partitions now
    `-- OffsetOutOfLog                 the log does not hold the position at which the database stands
"""

from __future__ import annotations

from collections import abc


class TidewiseError(Exception):
    """The root: catch it to catch everything that Tidewise raises on purpose."""


class InvalidInput(TidewiseError, ValueError):
    """What a caller sent cannot be used. The message says what was wanted, what was got and what to do.

    `field`: the field at fault, with which the message begins; None where no single field is.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class InvalidEvent(InvalidInput):
    """One interaction is malformed."""


class InvalidItem(InvalidInput):
    """One catalogue item is malformed."""


class InvalidSettings(InvalidInput):
    """A settings file, environment variable or flag cannot be used.

    Operator action: correct the named setting; `docs/settings.md` lists every name.
    """


class NotFound(TidewiseError, LookupError):
    """A named thing does not exist."""


class NotReady(TidewiseError):
    """The system cannot answer yet.

    Operator action: wait for `/ready` to turn green; the message names what is missing.
    """


class Overloaded(TidewiseError):
    """A queue is full. The request was not started and may be sent again.

    Operator action: if it lasts, add processes, or slow the clients down.
    """


class CheckpointError(TidewiseError):
    """A model on disk is missing, damaged or of another layout.

    Operator action: train again (`tidewise train`), or restore the folder named in the message from a backup.
    """


class StoreError(TidewiseError):
    """The database refused."""


class StoreUnavailable(StoreError):
    """The database is away, full or too slow. What was sent was not applied and may be sent again.

    Operator action: check that the database runs and that its disk has room.
    """


class StoreConflict(StoreError):
    """A concurrent writer won; the same transaction may be run again at once."""


class LeaseLost(StoreError):
    """Another process has taken over a role that one at a time may fill; nothing was written.

    Operator action: none; if it comes often, the holder was too slow to renew its lease: is the database away?
    """


class StoreMismatch(StoreError):
    """The database was made with other settings, or by another version of Tidewise.

    Operator action: use the settings it was made with, or run the command that the message names.
    """


class StreamError(TidewiseError):
    """The event log and the database disagree."""


class StreamUnavailable(StreamError):
    """Kafka is away, too slow, or refused what was asked. Messages not reported as sent may be sent again.

    Operator action: check that the brokers named in `kafka.bootstrap_servers` run and can be reached from here.
    """


class TopicMissing(StreamUnavailable):
    """Kafka has no such topic, yet or any more.

    Operator action: start a worker, which makes topics that are missing, or make it yourself; check `kafka.topic`.
    """


class PartitionLost(StreamError):
    """Other workers have advanced these partitions: acknowledge nothing of them, let the rebalance decide."""

    def __init__(self, message: str, *, partitions: abc.Collection[int]) -> None:
        super().__init__(message)
        self.partitions = frozenset(partitions)


class OffsetOutOfLog(StreamError):
    """The log no longer holds (or never held) the offset after the database's.

    Operator action: restore the matching log or database, or, knowing what is skipped, move the database's offset;
    `docs/operations.md` says how.
    """
