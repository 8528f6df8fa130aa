"""The tables, as SQLAlchemy Core metadata. The migrations in `storage/migrations` create the same (tested).

Large tables reference users and items by integer keys. JSON is stored as text: no query looks into it. There are no
foreign keys: writers resolve keys in the transaction that uses them, and each check would cost a B-tree lookup.
"""

from __future__ import annotations

from storage.tables.base import metadata
from storage.tables.counts import event_count_rollups, event_counts, popularity, popularity_changes, transitions
from storage.tables.definitions import experiment_revisions, scenario_revisions, segment_revisions
from storage.tables.drift import (
    drift_alarms,
    drift_buckets,
    drift_counts,
    drift_points,
    drift_scores,
    topic_days,
    topics,
)
from storage.tables.history import (
    dead_letters,
    erased_users,
    interactions,
    items,
    partition_lags,
    undone_events,
    user_attributes,
    users,
    writer_offsets,
)
from storage.tables.operation import (
    activity_counts,
    api_keys,
    audit_log,
    counters,
    leases,
    meta,
    models,
    promotions,
    vectors,
)
from storage.tables.outcomes import (
    answer_origins,
    answers,
    deferred_outcomes,
    item_counts,
    items_shown,
    outcome_counts,
    outcomes,
)

__all__ = [
    "activity_counts",
    "answer_origins",
    "answers",
    "api_keys",
    "audit_log",
    "counters",
    "dead_letters",
    "deferred_outcomes",
    "drift_alarms",
    "drift_buckets",
    "drift_counts",
    "drift_points",
    "drift_scores",
    "erased_users",
    "event_count_rollups",
    "event_counts",
    "experiment_revisions",
    "interactions",
    "item_counts",
    "items",
    "items_shown",
    "leases",
    "meta",
    "metadata",
    "models",
    "outcome_counts",
    "outcomes",
    "partition_lags",
    "popularity",
    "popularity_changes",
    "promotions",
    "scenario_revisions",
    "segment_revisions",
    "topic_days",
    "topics",
    "transitions",
    "undone_events",
    "user_attributes",
    "users",
    "vectors",
    "writer_offsets",
]
