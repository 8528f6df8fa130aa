"""Named doubles for the API: a model of axis vectors whose answers are obvious, and services around a memory store."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import numpy as np
from domain_doubles import BruteForceIndex
from doubles import MemoryStore
from fastapi import FastAPI

from core.arrays import BoolArray, FloatArray, IntArray
from core.catalogue.items import Catalogue, Item
from core.clock import ManualClock
from core.drift.counting import DriftSampler
from core.events.history import History, WindowShape
from core.events.interactions import EventTypes
from core.experiments.current import CurrentExperiments
from core.ingestion.ingest import Ingestor
from core.interests.user_interest import Interests
from core.manage import save_items
from core.outcomes.answer_log import AnswerLog
from core.outcomes.shown_items import ShownItems
from core.ports.encoder import EncodedItems
from core.recommendation.kept_lists import KeptLists
from core.recommendation.recommender import Recommender
from core.recommendation.snapshots.snapshot_manager import SnapshotManager
from core.recommendation.user_vectors.user_snapshots import UserSnapshots
from core.recommendation.user_vectors.vector_cache import VectorCache
from core.records.stored import ModelRecord, UserState
from core.scenarios.current import CurrentScenarios
from core.users.segments import CurrentSegments
from serving.runtime.services import Services

T = TypeVar("T")

NOW_MS = 1_700_000_000_000
WIDTH = 1024  # items at most: an index keeps the width that it began with
SHAPE = WindowShape(6, 2)
TYPES = EventTypes()


class AxisEncoder:
    """Item of row r is axis r; a user is the axis after that of their last item, so that it is recommended first.

    The items behind it follow at falling scores: their vectors lean on the next axes.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.num_encoded = 0

    @property
    def width(self) -> int:
        return WIDTH

    def encode(self, histories: Sequence[History]) -> FloatArray:
        self.num_encoded += len(histories)
        return np.stack([self._towards(int(history.items[-1])) for history in histories])

    def query(self, vectors: FloatArray, gaps_ms: IntArray) -> FloatArray:
        return vectors

    def gap_step(self, gap_ms: int) -> int:
        return 0

    def repeats(self, history: History) -> None:
        return None

    def items(self, rows: IntArray) -> FloatArray:
        vectors = np.zeros((len(rows), self.width), np.float32)
        vectors[np.arange(len(rows)), rows] = 1.0
        return vectors

    def trained(self, rows: IntArray) -> BoolArray:
        return np.ones(len(rows), np.bool_)

    def unseen_items(self, rows: IntArray) -> FloatArray:
        return np.zeros((len(rows), self.width), np.float32)

    def _towards(self, item_key: int) -> FloatArray:
        last = int(self._catalogue.rows(np.array([item_key]))[0])
        num_rows = len(self._catalogue)
        vector = np.zeros(self.width, np.float32)
        vector[:num_rows] = 1.0 / (1.0 + (np.arange(num_rows) - last - 1) % num_rows)
        return vector

    def rebind(self, catalogue: Catalogue, rows: IntArray) -> AxisEncoder:
        return AxisEncoder(catalogue)


class AxisBundle:
    """A model version of axis vectors."""

    window = SHAPE
    blend = None

    def __init__(self, version: str = "axes-1") -> None:
        self.version = version

    def bind(self, catalogue: Catalogue, *, encoded: EncodedItems | None = None) -> AxisEncoder:
        return AxisEncoder(catalogue)


class Shop:
    """A small shop behind the API: the store, its snapshots, and the services that `create_app` takes."""

    def __init__(self, store: Any = None, *, item_ids: Iterable[str] = "abcdef", model: bool = True) -> None:
        self.store = store or MemoryStore()
        self.clock = ManualClock(NOW_MS)
        self.changed_users: list[UserState] = []
        if model:
            with self.store.transaction() as tx:
                tx.models.save(ModelRecord("axes-1", "axes-1", "champion", NOW_MS))
                tx.commit()
        self.experiments = CurrentExperiments(self.store)
        self.snapshots = SnapshotManager(
            self.store,
            load=self._load,
            build=BruteForceIndex,
            shape=SHAPE,
            arm_versions=lambda: self.experiments.models(now_ms=self.clock.now_ms()),
        )
        items = [
            Item(item_id, title=f"Item {item_id}", categories=("even" if i % 2 else "odd",))
            for i, item_id in enumerate(item_ids)
        ]
        save_items(self.store, items, clock=self.clock)
        self.snapshots.refresh()
        segments = CurrentSegments(self.store)
        recommender = Recommender(
            self.store,
            snapshots=self.snapshots.current,
            clock=self.clock,
            types=TYPES,
            shape=SHAPE,
            vectors=VectorCache(max_mib=1),
            users=UserSnapshots(max_mib=1),
            lists=KeptLists(max_mib=1),
            segments=segments.conditions,
        )
        sampler = DriftSampler(window_codes=TYPES.flagged("window"), samples_per_minute=60)
        ingestor = Ingestor(self.store, types=TYPES, shape=SHAPE, sampler=sampler)
        shown = ShownItems(self.snapshots.current)
        self.answers = AnswerLog(self.store, ingestor.attributor, shown, clock=self.clock, wall=self.clock)
        self.services = Services(
            store=self.store,
            recommender=recommender,
            interests=Interests(self.store, snapshots=self.snapshots.current, types=TYPES),
            ingestor=ingestor,
            answers=self.answers,
            snapshots=self.snapshots,
            types=TYPES,
            clock=self.clock,
            scenarios=CurrentScenarios(self.store),
            experiments=self.experiments,
            segments=segments,
            wall=self.clock,
            encode=self.changed_users.extend,
            items_changed=self._refresh,
            champion_changed=self._refresh,
            version="1.2.3",
        )

    def _refresh(self) -> None:
        self.snapshots.refresh()

    def with_services(self, **changes: Any) -> Services:
        return replace(self.services, **changes)

    def _load(self, record: ModelRecord) -> AxisBundle:
        assert Path(record.path).name in ("axes-1", "axes-2")
        return AxisBundle(record.version)


class Api:
    """A client of an app in this process, its lifespan included; `run` takes what needs several requests at once."""

    def __init__(self, app: FastAPI, *, headers: dict[str, str] | None = None) -> None:
        self.app = app
        transport = httpx.ASGITransport(app)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)
        self._lifespan = app.router.lifespan_context(app)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        self.run(self._lifespan.__aenter__())
        return self

    def __exit__(self, *error: object) -> None:
        self.run(self._lifespan.__aexit__(None, None, None))
        self.run(self.client.aclose())
        self._runner.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(coroutine)

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        return self.run(self.client.request(method, url, **options))

    def get(self, url: str, **options: Any) -> httpx.Response:
        return self.run(self.client.get(url, **options))

    def post(self, url: str, **options: Any) -> httpx.Response:
        return self.run(self.client.post(url, **options))

    def put(self, url: str, **options: Any) -> httpx.Response:
        return self.run(self.client.put(url, **options))

    def patch(self, url: str, **options: Any) -> httpx.Response:
        return self.run(self.client.patch(url, **options))

    def delete(self, url: str, **options: Any) -> httpx.Response:
        return self.run(self.client.delete(url, **options))


def click(api: Api, user_id: str, item_id: str, at_s: int = 0, kind: str = "click") -> None:
    """Post one event, `at_s` seconds after `NOW_MS`."""
    event = {"user_id": user_id, "item_id": item_id, "type": kind, "time": NOW_MS + at_s * 1000}
    assert api.post("/v1/interactions", json=event).status_code == 200
