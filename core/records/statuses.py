"""Status words, each in one place: as stored, as sent in answers and as shown to operators."""

from __future__ import annotations

from enum import StrEnum


class EventStatus(StrEnum):
    """What became of one event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"  # its event id is stored already
    ERASED = "erased"  # it happened before its user was erased
    SKIPPED = "skipped"  # its offset was applied before
    QUEUED = "queued"  # written to Kafka, not applied yet
    REJECTED = "rejected"  # invalid; the answer carries the error
    DEAD_LETTERED = "dead-lettered"  # read from Kafka and written to the dead letters; answered as rejected


class ModelStatus(StrEnum):
    """What a model version is. At most one is the champion."""

    CHALLENGER = "challenger"  # trained, not judged yet or judged undecided
    CHAMPION = "champion"  # serves
    RETIRED = "retired"  # served before
    REFUSED = "refused"  # judged worse than what served, or broken; kept with the reason
    SUPERSEDED = "superseded"  # undecided when a newer challenger took its place


class PromotionKind(StrEnum):
    """Why the serving version changed."""

    PROMOTION = "promotion"
    ROLLBACK = "rollback"  # to a version that served before


class ExperimentState(StrEnum):
    """Whether an experiment assigns users."""

    SCHEDULED = "scheduled"  # it starts later
    RUNNING = "running"
    ENDED = "ended"  # users are answered as without it; its results stay


class AlarmEnding(StrEnum):
    """How a drift alarm ended."""

    RECOVERED = "recovered"  # the signal is back at what was expected before
    NEW_NORMAL = "new normal"  # the change lasted; it is what is expected now
    NEW_MODEL = "new model"  # another model serves, whose loss is not comparable
    RESUMED = "events resumed"  # of a silence
