"""The snapshot manager: builds the next serving snapshot while requests read the current one, and swaps it.

The next one is built from the items that changed, sharing the memory of all others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from threading import Lock

import numpy as np

from core.arrays import DoubleArray
from core.catalogue.attributes import NO_ROWS
from core.catalogue.items import Catalogue
from core.errors import CheckpointError, NotReady
from core.events.history import WindowShape
from core.popularity import PopularityChanges
from core.ports.encoder import ModelBundle
from core.ports.index import IndexBuilder
from core.ports.store import ReadTransaction, Store
from core.recommendation.snapshots.arm_models import ArmModel, ArmModels
from core.recommendation.snapshots.bound_model import BoundModel, ModelBinder
from core.recommendation.snapshots.item_values import ItemValuesKeeper
from core.recommendation.snapshots.popularity_rows import by_row, extended_popularity
from core.recommendation.snapshots.snapshot import ServingSnapshot
from core.records.stored import ModelRecord
from core.saved_snapshots.saved_counts import SavedCounts
from core.saved_snapshots.saved_snapshots import SPARE_KEYS, SavedSnapshots
from core.transitions.counts import CountRules, TransitionCounts
from core.transitions.transition import TransitionChanges

RETRY_REFRESHES = 30  # about half a minute: reading a damaged model is expensive


class SnapshotManager:
    """Holds the current snapshot; builds the next one and swaps it in one assignment."""

    def __init__(
        self,
        store: Store,
        *,
        load: Callable[[ModelRecord], ModelBundle],
        build: IndexBuilder,
        shape: WindowShape,
        include_uncatalogued: bool = False,
        count_rules: CountRules | None = None,
        saved: SavedSnapshots | None = None,
        saved_counts: SavedCounts | None = None,
        arm_versions: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """`count_rules`: how transitions count; None in a process that does not recommend.

        `saved`, `saved_counts`: snapshots and transition counts on disk.

        `arm_versions`: the model versions to load for arms of experiments.
        """
        self._store = store
        self._binder = ModelBinder(store, build, load, shape)
        self._values = ItemValuesKeeper()
        self._saved = saved
        self._saved_counts = saved_counts
        self._arm_versions = arm_versions
        self._arms = ArmModels(lambda: ModelBinder(store, build, load, shape))
        self._arm_records: Collection[ModelRecord] = ()
        self._include_uncatalogued = include_uncatalogued
        self._count_rules = count_rules
        self._counts: TransitionCounts | None = None
        self._popularity_position: Mapping[int, int] | None = None
        self._snapshot: ServingSnapshot | None = None
        self._previous: ServingSnapshot | None = None  # what the next one is made from: the current or a saved one
        self._loaded: str | None = None
        self._refreshes_since_failure = 0
        self._refreshing = Lock()
        # Called with the snapshot of a new model.
        self.before_switch: Callable[[ServingSnapshot], object] = _no_preparation
        self.problem: str | None = None  # why the champion does not serve: for `/ready` and operators

    def current(self) -> ServingSnapshot:
        """The snapshot to pin; raises `NotReady` before the first refresh."""
        if self._snapshot is None:
            msg = "the catalogue is still being read; try again in a moment"
            raise NotReady(msg)
        return self._snapshot

    def refresh(self) -> bool:
        """Read catalogue changes, a new champion and popularity; True if the catalogue or the model changed."""
        with self._refreshing:
            with self._store.read() as read:
                champion = read.models.champion()
                if self._previous is None and champion is not None:
                    self._previous = self._restored(read, champion)
                versions = self._arm_versions()
                arms = [record for record in read.models.all() if record.version in versions] if versions else []
                catalogue = self._read_catalogue(read)
                changes = read.popularity.since(self._popularity_position)
                popularity = self._popularity(read, changes, catalogue)
                old_counts, new_transitions = self._read_transitions(read)
            counted = self._count(old_counts, new_transitions)
            self._arm_records = arms
            renewed = self._switch(champion, catalogue, popularity, counted=counted)
            self._popularity_position = changes.position  # only now: after a failure they are read again
            return renewed

    def follow_items(self) -> bool:
        """Read catalogue changes only; True if there were any. One small query if there are none."""
        old = self._snapshot
        with self._store.read(snapshot=False) as read:
            if old is None or read.items.revision() == old.catalogue.revision:
                return False
        with self._refreshing:
            with self._store.read() as read:
                catalogue = self._read_catalogue(read)
                popularity = extended_popularity(read, self.current().catalogue, self.current().popularity, catalogue)
            return self._switch(None, catalogue, popularity, counted=False)

    def _read_catalogue(self, read: ReadTransaction) -> Catalogue:
        """The catalogue now: the old one, if it is unchanged, else made from it and the items that changed."""
        old = self._previous.catalogue if self._previous else None
        if old is None:
            return read.items.catalogue(include_uncatalogued=self._include_uncatalogued)
        newest_key = int(old.keys.max(initial=0)) if self._snapshot else _complete_until(read, old)
        has_new_items = read.items.newest_key() > newest_key  # users are encoded with it, though nobody is shown it
        if read.items.revision() == old.revision and not has_new_items:
            return old
        changes = read.items.changes(
            revision=old.revision, newest_key=newest_key, include_uncatalogued=self._include_uncatalogued
        )
        return old.with_changes(changes)

    def _popularity(self, read: ReadTransaction, changes: PopularityChanges, catalogue: Catalogue) -> DoubleArray:
        """(n,) popularity now: the old array, if nothing changed, else a copy with what changed."""
        if self._previous is None or changes.restarted:
            return by_row(catalogue, changes.item_keys, changes.scores)
        popularity = extended_popularity(read, self._previous.catalogue, self._previous.popularity, catalogue)
        rows = catalogue.rows(changes.item_keys)
        if (rows >= 0).any():
            popularity = popularity.copy()
            popularity[rows[rows >= 0]] = changes.scores[rows >= 0]
        return popularity

    def _switch(
        self,
        champion: ModelRecord | None,
        catalogue: Catalogue,
        popularity: DoubleArray,
        *,
        counted: bool,
    ) -> bool:
        """Build the next snapshot and switch to it; whether the catalogue or the model changed."""
        old = self._previous
        changed = old is None or catalogue is not old.catalogue
        adopted = self._adopt(champion, catalogue)
        model = adopted or (old.model if old else None)
        if old is not None and adopted is None and model is not None:
            model = self._binder.follow(model, old.catalogue, catalogue)
        snapshot = ServingSnapshot(catalogue, popularity, model, self._counts)
        is_same = old is not None and not counted and popularity is old.popularity
        snapshot = _with_values(snapshot, self._values, old if adopted is None else None, is_same=is_same)
        snapshot = replace(snapshot, arms=self._arm_snapshots(snapshot, old, is_same=is_same))
        if self._snapshot is not None and snapshot.shares_all(self._snapshot):
            return False
        if old is not None and model is not None and (old.model is None or old.model.version != model.version):
            self.before_switch(snapshot)
        changed = changed or self._snapshot is None
        self._snapshot = self._previous = snapshot
        return changed or adopted is not None

    def _arm_snapshots(
        self, snapshot: ServingSnapshot, old: ServingSnapshot | None, *, is_same: bool
    ) -> Mapping[str, ServingSnapshot]:
        """A snapshot with each model version that arms name beside its own."""
        serving = snapshot.model.version if snapshot.model else None
        records = [record for record in self._arm_records if record.version != serving]
        models = self._arms.follow(records, old.catalogue if old else None, snapshot.catalogue)

        def of(version: str, arm: ArmModel) -> ServingSnapshot:
            before = old.arms.get(version) if old else None
            return _with_values(replace(snapshot, model=arm.bound), arm.values, before, is_same=is_same)

        return {version: of(version, arm) for version, arm in models.items()}

    def _read_transitions(self, read: ReadTransaction) -> tuple[TransitionCounts | None, TransitionChanges | None]:
        """The counts that exist, at first the saved ones, and what was logged since; nothing where none are kept."""
        if self._count_rules is None:
            return None, None
        if self._counts is None and self._saved_counts and (loaded := self._saved_counts.load(read)):
            return loaded
        return self._counts, read.transitions.since(self._counts.position if self._counts else {})

    def _count(self, counts: TransitionCounts | None, changes: TransitionChanges | None) -> bool:
        """Count new transitions, True if the counts changed; a log that was restarted is counted into new counts."""
        if changes is None:
            return False
        if counts is None or changes.restarted:
            counts = TransitionCounts(self._count_rules)
        counts.apply(changes)
        is_new = counts is not self._counts
        self._counts = counts
        return is_new or len(changes.rows) > 0

    def _adopt(self, champion: ModelRecord | None, catalogue: Catalogue) -> BoundModel | None:
        """Load and bind a new champion; None if there is none or it is damaged (the previous model serves on)."""
        if champion is None or (champion.version == self._loaded and not self._is_retry_due()):
            return None
        self._loaded = champion.version
        try:
            model = self._binder.load(champion, catalogue)
        except CheckpointError as error:
            self.problem = str(error)
            return None
        self.problem = None
        return model

    def _restored(self, read: ReadTransaction, champion: ModelRecord) -> ServingSnapshot | None:
        """What was saved of this champion, without popularity and counts; None if nothing fits."""
        saved = self._saved.load(read, champion.version) if self._saved else None
        if self._saved is None or saved is None:
            return None
        try:
            bundle = self._binder.bundle(champion)
        except CheckpointError:
            return None  # `_adopt` reports it
        catalogue = saved.catalogue
        model = self._binder.restore(bundle, catalogue, saved.model, self._saved.read_index)
        self._loaded = champion.version
        return ServingSnapshot(catalogue, by_row(catalogue, NO_ROWS, np.empty(0)), model)

    def save_counts_if_due(self) -> bool:
        """Save the transition counts to disk if the saved ones are far behind; True if they were. Takes seconds."""
        if self._saved_counts is None or self._counts is None:
            return False
        return self._saved_counts.save_if_due(self._store, sum(self._counts.num_rows.values()))

    def save_if_due(self) -> bool:
        """Save the current snapshot to disk if the saved one is far behind; True if it was saved. Takes seconds."""
        snapshot = self._snapshot
        if self._saved is None or snapshot is None or snapshot.model is None or not snapshot.model.is_settled:
            return False
        catalogue, model = snapshot.catalogue, snapshot.model
        if not self._saved.is_due(model.version, catalogue):
            return False
        return self._saved.save(self._store, model.version, catalogue, model.arrays(len(catalogue)))

    def _is_retry_due(self) -> bool:
        """Whether to retry a champion that could not be loaded: its folder may have been restored."""
        if self.problem is None:
            return False
        self._refreshes_since_failure += 1
        return self._refreshes_since_failure % RETRY_REFRESHES == 0


def _complete_until(read: ReadTransaction, saved: Catalogue) -> int:
    """The key up to which a saved catalogue holds all items: one may be committed after one with a higher key."""
    newest = int(saved.keys.max(initial=0))
    keys = read.items.keys_above(newest - SPARE_KEYS)
    missing = keys[saved.rows(keys) < 0]
    return int(missing.min(initial=newest + 1)) - 1


def _no_preparation(snapshot: ServingSnapshot) -> None:
    """No preparation: users are encoded at their next request."""


def _with_values(
    snapshot: ServingSnapshot, keeper: ItemValuesKeeper, old: ServingSnapshot | None, *, is_same: bool
) -> ServingSnapshot:
    """The snapshot with its item values. `old`: of the same model; `is_same`: popularity and counts are those of it."""
    if snapshot.counts is None or snapshot.blend is None:
        return snapshot
    catalogue, popularity, counts = snapshot.catalogue, snapshot.popularity, snapshot.counts
    before = None if old is None or old.values is None else (old.values, old.catalogue)
    values = keeper.values(snapshot.blend, catalogue, popularity, counts, snapshot.trained, old=before, is_same=is_same)
    return replace(snapshot, values=values)
