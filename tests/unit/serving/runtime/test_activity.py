"""Activity: rates and latencies of the last hour, of all processes on one database."""

from __future__ import annotations

import time
from contextlib import contextmanager

import pytest
from serving_doubles import NOW_MS, Api, Shop, click

from core.clock import HOUR_MS, ManualClock
from core.errors import StoreUnavailable
from core.records.activity import ActivityCount, ActivityKind
from serving.app import create_app
from serving.runtime.activity import ActivitySampler

PERIOD_MS = 5_000
BEGIN_MS = NOW_MS - NOW_MS % PERIOD_MS


def sampler_of(shop: Shop, clock: ManualClock, *, num_waiting: int = 0) -> ActivitySampler:
    return ActivitySampler(shop.store, num_waiting=lambda: num_waiting, now_ms=clock.now_ms, period_s=5)


def test_a_period_has_rates_and_latencies_of_all_processes(shop: Shop, api: Api) -> None:
    clock = ManualClock(BEGIN_MS)
    samplers = [sampler_of(shop, clock, num_waiting=3), sampler_of(shop, clock, num_waiting=4)]
    for sampler in samplers:
        sampler.sample(100.0)
    for number in range(10):
        click(api, "bob", "b", number + 1)
    clock.advance(by_ms=4_000)
    for sampler, took_s in zip(samplers, (0.010, 0.030), strict=True):
        sampler.add_recommendation(took_s)
        sampler.add_recommendation(0.020)
        sampler.sample(105.0)
    samplers[0].add_applied(0.004)
    samplers[0].sample(106.0)
    clock.advance(by_ms=11_000)
    columns = samplers[1].columns()
    latencies = {name: columns.pop(name) for name in list(columns) if name.endswith("_ms")}
    assert columns == {
        "time": [BEGIN_MS + 5_000, BEGIN_MS + 10_000],
        "events_per_s": [2.0, None],
        "recommendations_per_s": [0.8, 0.0],
        "waiting_events": [3 + 4 + 3 + 4 + 3, 0],
    }
    assert latencies == {
        "recommendation_p50_ms": [pytest.approx(20, rel=0.05), None],
        "recommendation_p99_ms": [pytest.approx(30, rel=0.05), None],
        "freshness_p50_ms": [pytest.approx(4, rel=0.05), None],
        "freshness_p99_ms": [pytest.approx(4, rel=0.05), None],
    }


@pytest.mark.parametrize("took_s", [0.0, 1e-5, 0.0001, 0.00011, 0.001, 0.0527, 1.0, 60.0])
def test_a_latency_is_within_five_percent(shop: Shop, took_s: float) -> None:
    clock = ManualClock(BEGIN_MS)
    sampler = sampler_of(shop, clock)
    sampler.add_recommendation(took_s)
    sampler.sample(1.0)
    clock.advance(by_ms=10_000)
    assert sampler.columns()["recommendation_p50_ms"] == [pytest.approx(max(0.1, 1000 * took_s), rel=0.05)]


def test_periods_begin_with_the_oldest_count_of_the_last_hour(shop: Shop) -> None:
    clock = ManualClock(BEGIN_MS)
    with shop.store.transaction() as tx:
        older = (BEGIN_MS - 2 * HOUR_MS, BEGIN_MS - 30_000)
        tx.activity.add([ActivityCount(start_ms, ActivityKind.RECOMMENDATION, 9, 5) for start_ms in older])
        tx.commit()
    sampler = sampler_of(shop, clock)
    clock.advance(by_ms=5_000)
    assert sampler.columns()["recommendations_per_s"] == [1.0, 0, 0, 0, 0, 0]
    sampler.add_recommendation(0.01)
    sampler.sample(1.0)
    with shop.store.read() as read:
        assert [count.start_ms for count in read.activity.counts(since_ms=0, before_ms=2**62)] == [
            BEGIN_MS - 30_000,
            BEGIN_MS + 5_000,
        ]


def test_what_could_not_be_stored_is_stored_later(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock(BEGIN_MS)
    sampler = sampler_of(shop, clock)
    sampler.add_recommendation(0.01)

    @contextmanager
    def unavailable() -> object:
        raise StoreUnavailable("the database is away")
        yield

    with monkeypatch.context() as away:
        away.setattr(shop.store, "transaction", unavailable)
        with pytest.raises(StoreUnavailable):
            sampler.sample(1.0)
    sampler.sample(2.0)
    clock.advance(by_ms=10_000)
    assert sampler.columns()["recommendations_per_s"] == [0.2]


def test_activity_counts_personal_answers_and_applied_events(shop: Shop) -> None:
    app = create_app(shop.services)
    with Api(app) as api:
        click(api, "ann", "a")
        for url in (
            "/v1/users/ann/recommendations",
            "/v1/items/popular",
            "/v1/status",
            "/v1/users/ann/recommendations?n=0",
        ):
            api.get(url)
        app.state.engine.activity.sample(time.monotonic() + 1)
    with shop.store.read() as read:
        counted = read.activity.counts(since_ms=0, before_ms=2**62)
    nums = {kind: sum(count.num for count in counted if count.kind == kind) for kind in ActivityKind}
    assert nums == {
        ActivityKind.RECOMMENDATION: 1,
        ActivityKind.APPLIED_EVENTS: 1,
        ActivityKind.WAITING_EVENTS: 0,
    }
