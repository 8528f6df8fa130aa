"""Bootstrap: builds the parts of one process from its settings.

Every command starts here, so the same settings give the same system, whether events come from HTTP, Kafka or a file.
Opening a system connects to the database only; the first refresh loads the model and builds the index.
"""

from __future__ import annotations

import dataclasses
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from core.arrays import FloatArray, IntArray
from core.clock import DAY_MS, Clock, StreamClock, WallClock
from core.drift.counting import DriftSampler
from core.drift.segments import EventSegments
from core.errors import CheckpointError, NotFound, StoreMismatch
from core.events.history import WindowShape
from core.events.interactions import EventTypes
from core.experiments.current import CurrentExperiments
from core.experiments.scenario_value import LogReplay
from core.ingestion.ingest import Ingestor
from core.interests.interest import Horizons
from core.interests.user_interest import Interests
from core.outcomes.attribution import Attributor
from core.ports.encoder import ModelBundle
from core.ports.file_checks import OWN_CHECKS, FileChecks
from core.ports.index import ItemIndex
from core.ports.store import Store
from core.recommendation.kept_lists import KeptLists
from core.recommendation.recommender import Recommender
from core.recommendation.snapshots.snapshot import ServingSnapshot
from core.recommendation.snapshots.snapshot_manager import SnapshotManager
from core.recommendation.user_vectors.user_snapshots import UserSnapshots
from core.recommendation.user_vectors.vector_cache import VectorCache
from core.records.stored import ModelRecord
from core.saved_snapshots.saved_counts import SavedCounts
from core.saved_snapshots.saved_snapshots import Identity, SavedSnapshots
from core.scenarios.current import CurrentScenarios
from core.transitions.counts import CountRules
from core.transitions.transition import NUM_PREVIOUS
from core.users.segments import CurrentSegments
from tidewise import __version__
from tidewise.data_folder import make_folder
from tidewise.settings.schema import ClockSettings, Settings

if TYPE_CHECKING:
    from model.bundle import HM4SRBundle

MODELS_FOLDER = "models"
FEATURES_FOLDER = "features"
SNAPSHOTS_FOLDER = "snapshots"


@dataclass(frozen=True, slots=True)
class System:
    """The parts of one process; `close`, or the end of a `with` block, closes the database's connections."""

    settings: Settings
    store: Store
    types: EventTypes
    shape: WindowShape
    clock: Clock
    ingestor: Ingestor
    snapshots: SnapshotManager
    recommender: Recommender
    replay: LogReplay
    interests: Interests
    scenarios: CurrentScenarios
    experiments: CurrentExperiments
    segments: CurrentSegments

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database's connections."""
        self.store.close()


def open_system(
    settings: Settings,
    *,
    check_meta: bool = True,
    recommends: bool = False,
    imports: bool = False,
    checks: FileChecks = OWN_CHECKS,
) -> System:
    """The system that the settings describe; raises `StoreMismatch` where the database was made with other settings.

    `check_meta`: False for `tidewise rebuild`, which resolves such a mismatch. `recommends`: the process answers
    recommendations, so it counts transitions. `imports`: it writes much, so it caches more of a SQLite database.
    `checks`: of the files of models and saved snapshots.
    """
    from storage import open_store

    make_folder(settings.data.folder)
    cache_mib = settings.cache.import_mib if imports else None
    store = open_store(settings.database_url(), cache_mib=cache_mib, long_turns=imports)
    try:
        settings = _with_stored_clock(settings, store)
        if check_meta:
            check_metadata(store, settings)
        return _wire(settings, store, recommends=recommends, checks=checks)
    except BaseException:
        store.close()
        raise


def open_existing(settings: Settings, *, check_meta: bool = True, recommends: bool = False) -> System:
    """As `open_system`, for commands that need what is stored; raises `NotFound` instead of making a database."""
    if not settings.has_database():
        msg = (
            f"no such database: there is none in {settings.data.folder.absolute()}; "
            "check --data, or make one with `tidewise import` or `tidewise up`"
        )
        raise NotFound(msg)
    return open_system(settings, check_meta=check_meta, recommends=recommends)


def _with_stored_clock(settings: Settings, store: Store) -> Settings:
    """The settings with the clock mode of the database, unless they name one."""
    with store.read() as read:
        mode = read.metadata.all().get("clock.mode")
    if mode is None or "mode" in settings.clock.model_fields_set:
        return settings
    return settings.model_copy(update={"clock": ClockSettings.model_validate({"mode": mode})})


def _wire(settings: Settings, store: Store, *, recommends: bool, checks: FileChecks) -> System:
    types, shape = settings.event_types(), settings.window_shape()
    include_uncatalogued = settings.items.catalogue == "none"
    clock: Clock = StreamClock(lambda: _newest_event_ms(store)) if settings.clock.mode == "stream" else WallClock()
    experiments = CurrentExperiments(store)
    rules = CountRules() if recommends and settings.recommend.blend else None
    snapshots = SnapshotManager(
        store,
        load=lambda record: _with_state_cache(settings, load_model(settings, record, checks)),
        build=_item_index,
        shape=shape,
        include_uncatalogued=include_uncatalogued,
        count_rules=rules,
        saved=_saved_snapshots(settings, checks) if recommends else None,
        saved_counts=_saved_counts(settings, checks, rules) if rules else None,
        arm_versions=lambda: experiments.models(now_ms=clock.now_ms()),
    )
    segments = CurrentSegments(store)
    recommender_on = _recommenders(settings, store, clock, segments)
    recommender = recommender_on(snapshots.current)
    snapshots.before_switch = recommender.warm
    half_life_ms = settings.popularity.half_life_days * DAY_MS
    event_segments = EventSegments(settings.interest.segment_names())
    sampler = _sampler(settings, event_segments) if settings.drift.enabled else None
    attributor = Attributor(types, settings.outcomes.outcome_types())
    ingestor = Ingestor(
        store,
        types=types,
        shape=shape,
        half_life_ms=half_life_ms,
        sampler=sampler,
        attributor=attributor,
        segments=event_segments,
    )
    interests = Interests(
        store,
        snapshots=snapshots.current,
        types=types,
        horizons=Horizons(settings.interest.short_half_life_days, settings.interest.long_half_life_days),
        false_alarms=settings.interest.false_positive_rate,
        max_events=settings.interest.max_events,
    )
    scenarios = CurrentScenarios(store, settings=settings.scenarios.by_name)
    definitions = scenarios, experiments, segments
    replay = LogReplay(store, recommender_on, snapshots.current, types, half_life_ms)
    return System(
        settings, store, types, shape, clock, ingestor, snapshots, recommender, replay, interests, *definitions
    )


def _recommenders(
    settings: Settings, store: Store, clock: Clock, segments: CurrentSegments
) -> Callable[[Callable[[], ServingSnapshot]], Recommender]:
    """Makes the recommender of a source of snapshots; all of them share the users and their vectors."""
    types, shape = settings.event_types(), settings.window_shape()
    vectors, users = VectorCache(max_mib=settings.cache.vectors_mib), UserSnapshots(max_mib=settings.cache.users_mib)

    def recommender_on(source: Callable[[], ServingSnapshot]) -> Recommender:
        return Recommender(
            store,
            snapshots=source,
            clock=clock,
            types=types,
            shape=shape,
            vectors=vectors,
            users=users,
            lists=KeptLists(max_mib=settings.cache.lists_mib),
            include_uncatalogued=settings.items.catalogue == "none",
            shared=settings.shares_vectors,
            segments=segments.conditions,
        )

    return recommender_on


def _sampler(settings: Settings, segments: EventSegments) -> DriftSampler:
    windowed = frozenset(settings.event_types().flagged("window"))
    per_minute = settings.drift.samples_per_minute
    return DriftSampler(window_codes=windowed, samples_per_minute=per_minute, segments=segments)


def meta_of(settings: Settings) -> dict[str, str]:
    """The settings on which stored state depends; kept in the database and compared when it is opened."""
    return {
        "clock.mode": settings.clock.mode,
        "events.types": settings.event_types().digest(),
        "events.names": ",".join(settings.event_types().codes),
        "window": f"{settings.window.size}/{settings.window.step}",
        "transitions": f"{NUM_PREVIOUS} previous items, by week",
        "popularity.half_life_days": f"{settings.popularity.half_life_days:g}",
    }


def check_metadata(store: Store, settings: Settings) -> None:
    """Write the settings' meta into a new database; raise `StoreMismatch` where an old one disagrees."""
    expected = meta_of(settings)
    with store.read() as read:
        stored = read.metadata.all()
    for name, value in expected.items():
        if stored.get(name, value) == value:
            continue
        remedy = "leave the setting out" if name == "clock.mode" else "run `tidewise rebuild`"
        msg = f"{name}: the database was made with {stored[name]}, the settings say {value}; {remedy}"
        raise StoreMismatch(msg)
    missing = {name: value for name, value in expected.items() if name not in stored}
    if missing:
        with store.transaction() as tx:
            tx.metadata.save(missing)
            tx.commit()


def check_rebuildable(store: Store, settings: Settings) -> None:
    """Raise `StoreMismatch` where an event type is missing whose position stored events refer to."""
    with store.read() as read:
        stored = [name for name in read.metadata.all().get("events.names", "").split(",") if name]
    names = list(settings.event_types().codes)
    if names[: len(stored)] != stored:
        msg = f"events.types: the database was made with {', '.join(stored)}; keep these, in this order, and add others"
        raise StoreMismatch(msg)


def models_folder(settings: Settings) -> Path:
    """The folder of the model versions."""
    return settings.data.folder / MODELS_FOLDER


def features_folder(settings: Settings) -> Path:
    """The folder of the item vectors that `tidewise features` makes."""
    return settings.data.folder / FEATURES_FOLDER


def load_model(settings: Settings, record: ModelRecord, checks: FileChecks = OWN_CHECKS) -> HM4SRBundle:
    """The bundle of a model record; raises `CheckpointError`."""
    from model.checkpoint import load

    path = settings.data.folder / record.path
    if not path.exists():
        msg = f"model {record.version}: {path} is missing; restore it from a backup or run `tidewise train`"
        raise CheckpointError(msg)
    return _with_live_features(load(path, checks), features_folder(settings))


def _with_state_cache(settings: Settings, bundle: HM4SRBundle) -> ModelBundle:
    """The bundle with a cache of recently active users, so that a new event costs one position of the encoder."""
    from model.inference.cached import CachedBundle

    return CachedBundle(bundle, memory_mib=settings.cache.states_mib)


def _with_live_features(bundle: HM4SRBundle, folder: Path) -> HM4SRBundle:
    """The bundle with the vectors of new and changed items read from the collections in a folder."""
    from model.content.source import CollectedFeatures

    live = (
        source.following(folder / source.name) if isinstance(source, CollectedFeatures) else source
        for source in bundle.sources
    )
    return dataclasses.replace(bundle, sources=tuple(live))


def _item_index(rows: IntArray, vectors: FloatArray) -> ItemIndex:
    from index.live import LiveIndex

    return LiveIndex.flat(rows, vectors)


def _saved_snapshots(settings: Settings, checks: FileChecks) -> SavedSnapshots:
    from index.live import LiveIndex, library
    from storage.array_folders import NumpyFolders

    identity = Identity(f"{_program()}, {library()}", include_uncatalogued=settings.items.catalogue == "none")
    folders = NumpyFolders(settings.data.folder / SNAPSHOTS_FOLDER, checks)
    return SavedSnapshots(folders, identity, LiveIndex.of)


def _saved_counts(settings: Settings, checks: FileChecks, rules: CountRules) -> SavedCounts:
    from storage.array_folders import NumpyFolders

    return SavedCounts(NumpyFolders(settings.data.folder / SNAPSHOTS_FOLDER / "counts", checks), _program(), rules)


def _program() -> str:
    """What saved snapshots are made and read by."""
    return f"tidewise {__version__}, {platform.machine()} {sys.byteorder}-endian"


def _newest_event_ms(store: Store) -> int | None:
    with store.read() as read:
        return read.offsets.newest_event_ms()
