"""The simulated shop: reproducible, valid, and with the signals in it that the demo claims to show."""

import hashlib
from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from core.catalogue.items import parse_item
from core.clock import DAY_MS
from core.errors import InvalidInput
from core.events.interactions import DEFAULT_EVENT_TYPES, Interaction, check_id, check_time_ms
from tidewise.demo.shop_changes import Change, Kind
from tidewise.demo.shop_items import MAX_ITEMS
from tidewise.demo.simulator import DEFAULT_END_MS, Shop, simulate_shop

MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def shop() -> Shop:
    return simulate_shop()


def small_shop(**changed: int) -> Shop:
    return simulate_shop(**({"seed": 1, "num_users": 100, "num_items": 400, "days": 30} | changed))


def digest(shop: Shop) -> str:
    return hashlib.sha256(repr((shop.items, shop.history, shop.live, shop.drifts)).encode()).hexdigest()


def events_of(shop: Shop) -> tuple[Interaction, ...]:
    return shop.history + shop.live


def categories_of(shop: Shop) -> dict[str, str]:
    return {item.item_id: item.categories[0] for item in shop.items}


def views_by_user(shop: Shop) -> dict[str, list[Interaction]]:
    views = defaultdict(list)
    for event in events_of(shop):
        if event.type == "view":
            views[event.user_id].append(event)
    return views


def test_the_same_seed_makes_the_same_shop() -> None:
    assert digest(small_shop()) == digest(small_shop())


def test_another_seed_makes_another_shop() -> None:
    assert digest(small_shop()) != digest(small_shop(seed=2))


def test_another_end_time_keeps_items_and_users_and_changes_events() -> None:
    earlier, later = small_shop(), small_shop(end_ms=DEFAULT_END_MS + 7 * DAY_MS)
    assert earlier.items == later.items
    assert not {event.event_id for event in events_of(earlier)} & {event.event_id for event in events_of(later)}


def test_the_default_shop_has_the_size_that_the_demo_needs(shop: Shop) -> None:
    assert len(shop.items) == 1800
    assert 50_000 < len(shop.history) < 70_000
    assert 1_000 < len(shop.live) < 4_000
    assert len(shop.drifts) > 200


def test_all_events_are_valid_and_unique(shop: Shop) -> None:
    items = categories_of(shop)
    types = {kind.name for kind in DEFAULT_EVENT_TYPES}
    for event in events_of(shop):
        check_id("event_id", event.event_id)
        check_id("user_id", event.user_id)
        check_time_ms("time", event.time_ms)
        assert event.item_id in items
        assert event.type in types
    assert len({event.event_id for event in events_of(shop)}) == len(events_of(shop))


def test_all_items_are_valid_with_unique_titles(shop: Shop) -> None:
    for item in shop.items:
        raw = {name: getattr(item, name) for name in ("item_id", "title", "text", "categories", "attributes")}
        assert parse_item(raw | {"categories": list(item.categories)}) == item
    assert len({item.title for item in shop.items}) == len(shop.items)


def test_events_are_sorted_and_live_events_follow_the_history(shop: Shop) -> None:
    times_ms = [event.time_ms for event in events_of(shop)]
    assert times_ms == sorted(times_ms)
    live_from_ms = DEFAULT_END_MS - 2 * DAY_MS
    assert shop.history[-1].time_ms < live_from_ms <= shop.live[0].time_ms
    assert shop.live[-1].time_ms <= DEFAULT_END_MS


def test_gaps_are_seconds_within_sessions_and_days_between_them(shop: Shop) -> None:
    gaps_ms = sorted(b.time_ms - a.time_ms for views in views_by_user(shop).values() for a, b in pairwise(views))
    within = [gap_ms for gap_ms in gaps_ms if gap_ms < 30 * MINUTE_MS]
    between = [gap_ms for gap_ms in gaps_ms if gap_ms >= 30 * MINUTE_MS]
    assert 20_000 < within[len(within) // 2] < 60_000
    assert 2 * DAY_MS < between[len(between) // 2] < 10 * DAY_MS
    assert 2 < len(within) / len(between) < 6


def test_evenings_are_busier_than_nights(shop: Shop) -> None:
    hours = Counter(event.time_ms // (60 * MINUTE_MS) % 24 for event in events_of(shop))
    assert hours[20] > 5 * hours[3]


def test_the_best_tenth_of_items_draws_a_third_of_the_events(shop: Shop) -> None:
    counts = Counter(event.item_id for event in shop.history)
    best = sum(count for _, count in counts.most_common(len(shop.items) // 10))
    assert 0.3 < best / len(shop.history) < 0.6


def test_users_rarely_look_at_an_item_again(shop: Shop) -> None:
    views = views_by_user(shop)
    distinct = sum(len({event.item_id for event in events}) for events in views.values())
    assert distinct / sum(map(len, views.values())) > 0.95


def test_purchases_follow_carts_and_carts_follow_views(shop: Shop) -> None:
    stage = {"view": 0, "cart": 1, "purchase": 2}
    reached: dict[tuple[str, str], int] = {}
    for event in events_of(shop):
        pair = (event.user_id, event.item_id)
        assert reached.get(pair, -1) >= stage[event.type] - 1
        reached[pair] = max(reached.get(pair, -1), stage[event.type])


def test_after_a_drift_the_new_category_replaces_the_old_one(shop: Shop) -> None:
    categories, views = categories_of(shop), views_by_user(shop)
    shares: dict[str, list[float]] = {"old before": [], "new before": [], "old after": [], "new after": []}
    for drift in shop.drifts:
        for when, after in (("before", False), ("after", True)):
            seen = [categories[e.item_id] for e in views[drift.user_id] if (e.time_ms >= drift.time_ms) is after]
            for which, category in (("old", drift.from_category), ("new", drift.to_category)):
                shares[f"{which} {when}"].append(seen.count(category) / max(1, len(seen)))
    means = {name: sum(values) / len(values) for name, values in shares.items()}
    assert means["old before"] > 0.5
    assert means["new before"] < 0.1
    assert means["old after"] < 0.1
    assert means["new after"] > 0.5


def test_the_typical_user_has_history_and_live_events(shop: Shop) -> None:
    user_id = shop.typical_user()
    assert user_id in {event.user_id for event in shop.live}
    assert 10 <= sum(event.user_id == user_id for event in shop.history) <= 120


def hit_rate_at_10(shop: Shop, *, by_last_item: bool) -> float:
    """How often one of ten items guessed from the history comes next in live sessions."""
    popular = [item for item, _ in Counter(event.item_id for event in shop.history).most_common(10)]
    follows: dict[str, Counter[str]] = defaultdict(Counter)
    hits = total = 0
    for views in views_by_user(shop).values():
        for last, after in pairwise(views):
            if after.time_ms < shop.live[0].time_ms:
                follows[last.item_id][after.item_id] += 1
    for views in views_by_user(shop).values():
        for last, after in pairwise(views):
            if after.time_ms >= shop.live[0].time_ms:
                guesses = [item for item, _ in follows[last.item_id].most_common(10)] if by_last_item else popular
                hits += after.item_id in guesses
                total += 1
    return hits / total


def test_the_last_item_predicts_the_next_better_than_popularity(shop: Shop) -> None:
    assert hit_rate_at_10(shop, by_last_item=True) > 5 * hit_rate_at_10(shop, by_last_item=False)


def test_the_last_category_predicts_the_next_best(shop: Shop) -> None:
    categories = categories_of(shop)
    pairs = [
        (categories[a.item_id], categories[b.item_id])
        for views in views_by_user(shop).values()
        for a, b in pairwise(views)
    ]
    base_rate = max(Counter(after for _, after in pairs).values()) / len(pairs)
    assert sum(before == after for before, after in pairs) / len(pairs) > 3 * base_rate


@pytest.mark.parametrize("num_items", [10, MAX_ITEMS + 1])
def test_a_shop_of_unsupported_size_is_an_error(num_items: int) -> None:
    with pytest.raises(InvalidInput, match=rf"num_items: wanted \d+ to \d+, got {num_items}"):
        small_shop(num_items=num_items)


def test_titles_are_unique_in_the_largest_shop() -> None:
    assert len({item.title for item in small_shop(num_items=MAX_ITEMS).items}) == MAX_ITEMS


CHANGE_MS = DEFAULT_END_MS - 6 * DAY_MS


def changed(kind: Kind, category: str = "Tea") -> Shop:
    return simulate_shop(days=12, live_days=10, change=Change(kind, CHANGE_MS, category))


def share_of(shop: Shop, category: str, since_ms: int, before_ms: int) -> float:
    categories = categories_of(shop)
    inside = [event for event in events_of(shop) if event.type == "view" and since_ms <= event.time_ms < before_ms]
    return sum(categories[event.item_id] == category for event in inside) / len(inside)


def test_events_before_a_change_stay_the_same() -> None:
    def views(shop: Shop) -> set[tuple[str, str, int]]:
        before = (event for event in events_of(shop) if event.type == "view" and event.time_ms < CHANGE_MS)
        return {(event.user_id, event.item_id, event.time_ms) for event in before}

    plain, turned = views(simulate_shop(days=12, live_days=10)), views(changed("season"))
    assert len(plain ^ turned) < 0.02 * len(plain)  # whether an item is looked at again depends on what comes later


@pytest.mark.parametrize(("kind", "least"), [("interests", 0.2), ("season", 0.4)])
def test_visits_shift_to_the_category_of_a_change(kind: Kind, least: float) -> None:
    shop = changed(kind)
    before, after = (share_of(shop, "Tea", *span) for span in ((0, CHANGE_MS), (CHANGE_MS, DEFAULT_END_MS)))
    assert before < 0.1
    assert after > least


def test_a_season_is_about_a_few_rarely_viewed_items() -> None:
    shop = changed("season")
    categories = categories_of(shop)
    tea = [event for event in events_of(shop) if event.type == "view" and categories[event.item_id] == "Tea"]
    since = Counter(event.item_id for event in tea if event.time_ms >= CHANGE_MS)
    before = Counter(event.item_id for event in tea if event.time_ms < CHANGE_MS)
    top = [item_id for item_id, _ in since.most_common(12)]
    assert sum(since[item_id] for item_id in top) > 0.6 * since.total()
    assert sum(before[item_id] for item_id in top) < 0.1 * before.total()


@pytest.mark.parametrize(("kind", "category", "odd"), [("sudden", "Yoga", True), ("segment", "Yoga", False)])
def test_random_views_stay_within_their_category_or_segment(kind: Kind, category: str, odd: bool) -> None:
    def top_share(shop: Shop) -> float:
        categories = categories_of(shop)
        seen = [event for event in events_of(shop) if event.time_ms >= CHANGE_MS]
        counts = Counter(event.item_id for event in seen if categories[event.item_id] == category)
        return sum(num for _, num in counts.most_common(12)) / counts.total()

    plain, scattered = simulate_shop(days=12, live_days=10), changed(kind, "Tea")
    assert (top_share(scattered) < 0.8 * top_share(plain)) == odd


def test_a_rhythm_applies_to_evenings_and_weekends() -> None:
    shop = changed("rhythm")
    categories = categories_of(shop)
    evening, morning = Counter[bool](), Counter[bool]()
    for event in events_of(shop):
        hour, day = event.time_ms // 3_600_000 % 24, (event.time_ms // DAY_MS + 3) % 7
        if day < 5:
            (evening if 17 <= hour < 23 else morning)[categories[event.item_id] == "Tea"] += 1
    assert evening[True] / evening.total() > 2.5 * morning[True] / morning.total()
