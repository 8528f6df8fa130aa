"""Activity samples: rates and latencies of each period, for an hour."""

from __future__ import annotations

import time

from serving_doubles import NOW_MS, Api, Shop, click

from core.clock import ManualClock
from serving.app import create_app
from serving.runtime.activity import ActivitySampler


def sampler_of(shop: Shop) -> ActivitySampler:
    return ActivitySampler(shop.store, num_waiting=lambda: 3, now_ms=ManualClock(NOW_MS).now_ms, period_s=5)


def test_a_sample_has_rates_and_latencies_of_its_period(shop: Shop, api: Api) -> None:
    sampler = sampler_of(shop)
    click(api, "ann", "a")
    sampler.sample(100.0)
    assert sampler.columns()["time"] == [], "the first one only begins"
    for at_s in range(4):
        click(api, "bob", "b", at_s + 1)
    for took_s in (0.010, 0.020, 0.030):
        sampler.add_recommendation(took_s)
    sampler.add_applied(0.004)
    sampler.sample(102.0)
    sampler.sample(104.0)
    assert sampler.columns() == {
        "time": [NOW_MS, NOW_MS],
        "events_per_s": [2.0, 0.0],
        "recommendations_per_s": [1.5, 0.0],
        "recommendation_p50_ms": [20.0, None],
        "recommendation_p99_ms": [29.8, None],
        "freshness_p50_ms": [4.0, None],
        "freshness_p99_ms": [4.0, None],
        "waiting_events": [3, 3],
    }


def test_an_hour_of_samples_is_kept(shop: Shop) -> None:
    sampler = sampler_of(shop)
    for at in range(800):
        sampler.sample(at * 5.0)
    assert len(sampler.columns()["time"]) == 720


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
        sampler = app.state.engine.activity
        sampler.sample(time.monotonic() + 1)
        columns = sampler.columns()
    assert (columns["recommendations_per_s"][-1] > 0, columns["freshness_p50_ms"][-1] > 0) == (True, True)
    assert columns["recommendation_p50_ms"][-1] == columns["recommendation_p99_ms"][-1], "one recommendation"
