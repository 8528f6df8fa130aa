"""Every error that Tidewise raises on purpose, with the operator's action.

TidewiseError
|-- InvalidInput (also a ValueError)   the input is invalid; nothing was changed
|   |-- UnknownDefinition              a scenario or a segment that is not known
|   |-- InvalidEvent                   an interaction is malformed (rejected, or written to the dead letters)
|   |-- InvalidItem                    a catalogue item is malformed
|   `-- InvalidSettings                a settings file, variable or flag cannot be used
|-- NotFound                           the named user, item, model or job does not exist
|-- NotReady                           the system cannot answer yet (no model, still starting)
|-- Overloaded                         a queue is full: try again later
|-- TrainingProcessLost                another process of the same training has ended
|-- CheckpointError                    a model on disk is missing, damaged or from another layout
|-- StoreError                         the database refused
|   |-- StoreUnavailable               it is unreachable or too slow: try again later
|   |-- StoreConflict                  a concurrent writer won: the transaction can be run again
|   |-- LeaseLost                      another process holds the lease: write nothing more under it
|   `-- StoreMismatch                  the database was made with other settings or another version
`-- StreamError
    |-- StreamUnavailable              Kafka is unreachable or refuses: try again later
    |   `-- TopicMissing               the topic does not exist
    |-- PartitionLost                  other workers own partitions now
    `-- OffsetOutOfLog                 the log does not hold the next offset to apply
"""

from __future__ import annotations

from collections import abc


def plain_reason(error: Exception) -> str:
    """Why a file cannot be used, without the system's number of the error and the path, which the message names."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return str(error)


class TidewiseError(Exception):
    """Base class of all errors that Tidewise raises on purpose."""


class InvalidInput(TidewiseError, ValueError):
    """The input is invalid. The message says what was wanted, what was got and what to do.

    `field`: the invalid field, with which the message begins; None if it is about no single field.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class UnknownDefinition(InvalidInput):
    """A request names a scenario or a segment that this process does not know; another one may just have stored it."""


class InvalidEvent(InvalidInput):
    """An interaction is malformed."""


class InvalidItem(InvalidInput):
    """A catalogue item is malformed."""


class InvalidSettings(InvalidInput):
    """A settings file, environment variable or flag cannot be used.

    Operator action: correct the named setting; `docs/settings.md` lists every name.
    """


class NotFound(TidewiseError, LookupError):
    """The named user, item, model or job does not exist."""


class NotReady(TidewiseError):
    """The system cannot answer yet.

    Operator action: wait until `/ready` answers 200; the message names what is missing.
    """


class Overloaded(TidewiseError):
    """A queue is full. The request was not started and may be sent again.

    Operator action: if it lasts, add processes, or slow the clients down.
    """


class TrainingProcessLost(TidewiseError):
    """Another process of the same training has ended, so this one ends too.

    Operator action: read the error of the process that ended first (killed: too little memory?), then start again.
    """


class CheckpointError(TidewiseError):
    """A model on disk is missing, damaged or of another layout.

    Operator action: train again (`tidewise train`), or restore the folder named in the message from a backup.
    """


class StoreError(TidewiseError):
    """The database refused."""


class StoreUnavailable(StoreError):
    """The database is unreachable, full or too slow. Nothing was applied; the request can be sent again.

    Operator action: check that the database runs and that its disk has room.
    """


class StoreConflict(StoreError):
    """A concurrent writer won; the same transaction can be run again at once."""


class LeaseLost(StoreError):
    """Another process has taken over the lease; nothing was written.

    Operator action: none. If it is frequent, the holder renews too slowly: check that the database answers.
    """


class StoreMismatch(StoreError):
    """The database was made with other settings or by another version of Tidewise.

    Operator action: use the settings that it was made with, or run the command that the message names.
    """


class StreamError(TidewiseError):
    """The event log and the database disagree."""


class StreamUnavailable(StreamError):
    """Kafka is unreachable, too slow, or refused the request. Messages not reported as sent can be sent again.

    Operator action: check that the brokers named in `kafka.bootstrap_servers` run and can be reached from this machine.
    """


class TopicMissing(StreamUnavailable):
    """The Kafka topic does not exist.

    Operator action: start a worker, which creates missing topics, or create it; check `kafka.topic`.
    """


class PartitionLost(StreamError):
    """Other workers own these partitions now: acknowledge none of their messages, wait for the rebalance."""

    def __init__(self, message: str, *, partitions: abc.Collection[int]) -> None:
        super().__init__(message)
        self.partitions = frozenset(partitions)


class OffsetOutOfLog(StreamError):
    """The log does not hold the next offset to apply, any more or at all.

    Operator action: restore the matching log or database, or move the applied offset and accept what is skipped;
    see `docs/operations.md`.
    """
