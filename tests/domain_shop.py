"""A shop of six items in memory, a model of axis vectors and a manual clock."""

from __future__ import annotations

from collections.abc import Collection

from domain_doubles import NOW_MS, SHAPE, TYPES, AxisBundle, AxisEncoder, BruteForceIndex, crown, event, ingestor
from doubles import MemoryStore

from core.arrays import FloatArray
from core.blending.blend import Blend
from core.catalogue.items import Catalogue, Item
from core.clock import ManualClock
from core.ingestion.sources import RequestSource
from core.manage import save_items
from core.ports.encoder import EncodedItems
from core.recommendation.kept_lists import KeptLists
from core.recommendation.recommender import Recommender
from core.recommendation.requests import RecommendationRequest, RecommendationResult
from core.recommendation.snapshots.snapshot_manager import SnapshotManager
from core.recommendation.user_vectors.user_snapshots import UserSnapshots
from core.recommendation.user_vectors.vector_cache import VectorCache
from core.transitions.counts import CountRules

NAMES = ("a", "b", "c", "d", "e", "f")
ALL = RecommendationRequest(n=20, exclude_seen=False)


class Shop:
    """A store of six items, its snapshots and a recommender, at a time set by hand."""

    def __init__(
        self,
        *,
        model: bool = True,
        include_uncatalogued: bool = False,
        items: tuple[str, ...] = NAMES,
        each_adds: float | None = None,
        store: MemoryStore | None = None,
        blend: Blend | None = None,
        counts: bool = False,
        untrained: Collection[str] = (),
    ) -> None:
        """`each_adds`: what an event adds to the score of its own item. `counts`: transitions are counted.

        `untrained`: ids of items that the model has not been trained on.
        """
        self.store = store or MemoryStore()
        self.clock = ManualClock(NOW_MS + 100_000)
        self.bundle = AxisBundle(each_adds=each_adds, blend=blend, untrained=untrained)
        self.vectors = VectorCache(max_mib=1)
        self.ingestor = ingestor(self.store)
        self.catalogue(*(Item(name, title=name.upper(), categories=_halves(name)) for name in items))
        if model:
            crown(self.store)
        self.snapshots = SnapshotManager(
            self.store,
            load=lambda record: self.bundle,
            build=BruteForceIndex,
            shape=SHAPE,
            include_uncatalogued=include_uncatalogued,
            count_rules=CountRules() if counts else None,
        )
        self.snapshots.refresh()
        self.include_uncatalogued = include_uncatalogued
        self.recommender = self.recommender_with(KeptLists(max_mib=1))

    def recommender_with(self, lists: KeptLists) -> Recommender:
        """Another recommender of this shop, which has read no user yet."""
        return Recommender(
            self.store,
            snapshots=self.snapshots.current,
            clock=self.clock,
            types=TYPES,
            shape=SHAPE,
            vectors=self.vectors,
            users=UserSnapshots(max_mib=1),
            lists=lists,
            include_uncatalogued=self.include_uncatalogued,
        )

    def catalogue(self, *items: Item) -> None:
        save_items(self.store, items, clock=self.clock)

    def had(self, item_id: str, at_s: int = 0, *, user_id: str = "ann", kind: str = "click") -> None:
        self.ingestor.ingest([event(user_id, item_id, at_s, kind=kind)], RequestSource("api"))

    def for_ann(self, request: RecommendationRequest = ALL) -> list[str]:
        return names(self.recommender.recommend("ann", request))

    @property
    def num_encoded(self) -> int:
        return sum(len(encoder.encoded) for encoder in self.bundle.encoders)


def _halves(name: str) -> tuple[str, ...]:
    return ("early",) if name < "d" else ("late",)


def names(answer: RecommendationResult) -> list[str]:
    return [item.item_id for item in answer.items]


def popular_shop(*, model: bool = True) -> Shop:
    """ "d" is the most popular, then "b"; the others have no events and come newest first."""
    shop = Shop(model=model)
    for user_id in ("x", "y"):
        shop.had("d", user_id=user_id)
    shop.had("b", user_id="x")
    shop.snapshots.refresh()
    return shop


class GivenVectors(AxisBundle):
    """A model with given item vectors."""

    def __init__(self, version: str, vectors: FloatArray) -> None:
        super().__init__(version)
        self._vectors = vectors

    def bind(self, catalogue: Catalogue, *, encoded: EncodedItems | None = None) -> AxisEncoder:
        encoder = super().bind(catalogue, encoded=encoded)
        encoder.items = lambda rows: self._vectors[rows]  # type: ignore[method-assign]
        return encoder
