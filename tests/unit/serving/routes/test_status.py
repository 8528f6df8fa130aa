"""Readiness over HTTP: each check, and the reasons of a failed one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from domain_doubles import BruteForceIndex
from doubles import MemoryStore, MemoryTransaction
from serving_doubles import SHAPE, Api, AxisBundle, Shop

from core.errors import CheckpointError, StoreUnavailable
from core.recommendation.snapshots.snapshot_manager import SnapshotManager
from core.records.stored import ModelRecord
from serving.app import create_app

KEY = "a-key-of-sixteen-characters"


def test_ready_with_a_catalogue_and_a_writable_database() -> None:
    with Api(create_app(Shop().services)) as api:
        assert api.get("/ready").json() == {
            "status": "ready",
            "checks": {
                "catalogue": {"ok": True, "items": 6, "revision": 1},
                "database": {"ok": True},
                "model": {"ok": True, "version": "axes-1"},
            },
        }


def test_ready_tells_of_a_catalogue_without_items() -> None:
    with Api(create_app(Shop(item_ids="").services)) as api:
        check = api.get("/ready").json()["checks"]["catalogue"]
    assert check["message"] == "no item can be recommended; put items into the catalogue, or set items.catalogue = none"


def test_ready_without_a_model_serving_popularity() -> None:
    with Api(create_app(Shop(model=False).services)) as api:
        ready = api.get("/ready")
    assert ready.status_code == 200
    assert ready.json()["checks"]["model"]["message"] == "no model yet: serving popularity"


def test_ready_reports_why_the_champion_does_not_serve() -> None:
    def damaged(record: ModelRecord) -> AxisBundle:
        msg = f"{record.path}: weights are missing; train again"
        raise CheckpointError(msg)

    shop = Shop()
    snapshots = SnapshotManager(shop.store, load=damaged, build=BruteForceIndex, shape=SHAPE)
    snapshots.refresh()
    with Api(create_app(shop.with_services(snapshots=snapshots))) as api:
        ready, status = api.get("/ready"), api.get("/v1/status")
    with Api(create_app(shop.with_services(snapshots=snapshots, api_key=KEY))) as api:
        to_strangers = api.get("/ready").json()["checks"]["model"]["message"]
    assert ready.json()["checks"]["model"]["message"] == "no model serves: axes-1: weights are missing; train again"
    assert to_strangers == "no model serves: the log and, with the key, /v1/status say why"
    assert status.json()["model"]["problem"] == "axes-1: weights are missing; train again"


def test_not_ready_before_the_catalogue_is_read() -> None:
    shop = Shop()
    snapshots = SnapshotManager(shop.store, load=lambda _: AxisBundle(), build=BruteForceIndex, shape=SHAPE)
    with Api(create_app(shop.with_services(snapshots=snapshots))) as api:
        ready, status = api.get("/ready"), api.get("/v1/status")
    assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
    assert (status.status_code, status.json()["error"]["code"]) == (503, "not_ready")


class CountedStore(MemoryStore):
    """Counts transactions; `away`: they are refused."""

    num_transactions, away = 0, False

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        self.num_transactions += 1
        if self.away:
            msg = "the disk is full; make room"
            raise StoreUnavailable(msg)
        with super().transaction() as tx:
            yield tx


def test_requests_for_readiness_share_a_write_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.routes.status.PROBE_PERIOD_S", 3600.0)
    store = CountedStore()
    with Api(create_app(Shop(store).services)) as api:
        before = store.num_transactions
        assert [api.get("/ready").status_code for _ in range(20)] == [200] * 20
        assert store.num_transactions == before + 1


def test_readiness_follows_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.routes.status.PROBE_PERIOD_S", 0.0)
    store = CountedStore()
    with Api(create_app(Shop(store).services)) as api:
        found = []
        for store.away in (False, True, False):
            found.append(api.get("/ready").status_code)
    assert found == [200, 503, 200]


def test_status_shows_the_measured_recall_of_the_item_index() -> None:
    class Approximate(BruteForceIndex):
        is_approximate, recall = True, 0.996

    shop = Shop()
    shop.snapshots = SnapshotManager(shop.store, load=lambda _: AxisBundle(), build=Approximate, shape=SHAPE)
    shop.snapshots.refresh()
    with Api(create_app(shop.with_services(snapshots=shop.snapshots))) as api:
        index = api.get("/v1/status").json()["index"]
        metrics = api.get("/metrics").text
    assert index == {"items": 6, "approximate": True, "recall": 0.996}
    assert "tidewise_index_recall 0.996" in metrics
