"""Specifications of the baselines, each by hand on logs whose answer is obvious."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.catalogue.items import Catalogue
from core.evaluation.scorers import LiveScorer, Past, TrainingPart
from core.events.history import History, WindowShape
from core.records.stored import EventColumns
from model.baselines.counting import CoOccurrence, RecentPopularity
from model.baselines.neighbours import VSKNN, ItemKNN
from model.baselines.networks import GRU4Rec, SASRec
from model.evaluation.networks import Contents, NetworkClass, NetworkScorer
from model.network.config import ModelConfig
from model.network.hm4sr import HM4SR
from model.training.train import TrainingPlan

T0 = 1_300_000_000_000
DAY_MS = 86_400_000


def part_of(*histories: str, day_of: dict[str, float] | None = None) -> TrainingPart:
    """Users 0, 1, ... with items named by letters, a day between events unless `day_of` an item says otherwise."""
    users = [user for user, items in enumerate(histories) for _ in items]
    letters = "".join(histories)
    days = [(day_of or {}).get(letter, float(day)) for items in histories for day, letter in enumerate(items)]
    rows = [ord(letter) - ord("a") for letter in letters]
    columns = EventColumns(np.array(users), np.array(rows), T0 + (np.array(days) * DAY_MS).astype(np.int64))
    return TrainingPart(columns, np.arange(len(users)), np.empty(0, np.int64), max(rows) + 1)


def after(items: str, *, user: int = 99) -> Past:
    rows = np.array([ord(letter) - ord("a") for letter in items], np.int64)
    return Past(user, History(rows, T0 + np.arange(len(rows)) * DAY_MS))


# --- counting


def test_popularity_halves_with_time() -> None:
    scorer = RecentPopularity(half_life_days=10)
    scorer.fit(part_of("aaabc", day_of={"a": 0, "b": 30, "c": 0}))
    a, b, c = scorer.shares  # a: three of weight 1/8, b: one of weight 1, c: one of weight 1/8
    assert b == 1.0
    assert a == pytest.approx(1 / (1 + math.log2(8 / 3)))
    assert c == pytest.approx(1 / (1 + 3))


def test_popularity_is_user_independent_and_0_for_items_without_events() -> None:
    scorer = RecentPopularity(half_life_days=10)
    scorer.fit(part_of("ac"))
    scores = scorer.scores([after("a"), after("")])
    assert np.array_equal(scores[0], scores[1])
    assert scores[0, 1] == 0.0 < scores[0].min(where=[True, False, True], initial=1)


def test_popularity_learnt_live_is_popularity_learnt_at_once() -> None:
    offline, live = RecentPopularity(half_life_days=3), RecentPopularity(half_life_days=3)
    part = part_of("abcabcaab")
    offline.fit(part)
    first = TrainingPart(part.columns, part.train[:4], part.validation, part.num_items)
    live.fit(first)
    for row in part.train[4:]:
        live.apply(0, int(part.columns.items[row]), int(part.columns.times_ms[row]))
    assert live.shares == pytest.approx(offline.shares, rel=1e-6)


def test_the_most_frequent_next_item_is_first_popularity_breaks_ties() -> None:
    scorer = CoOccurrence(half_life_days=1000)
    scorer.fit(part_of("ab", "ab", "ac", "ddd"))
    assert np.argsort(-scorer.scores([after("da")])[0])[:2].tolist() == [1, 2]
    assert np.argsort(-scorer.scores([after("b")])[0])[0] == 3  # nothing came after b: the most popular


def test_co_occurrence_both_ways_also_counts_what_came_before() -> None:
    scorer = CoOccurrence(half_life_days=1000, both_ways=True)
    scorer.fit(part_of("ab", "cd", "ddd"))
    assert np.argmax(scorer.scores([after("b")])[0]) == 0


def test_co_occurrence_learns_from_each_event_and_forgets_when_fitted_anew() -> None:
    scorer = CoOccurrence(half_life_days=1000)
    part = part_of("ab", "ccc")
    scorer.fit(part)
    scorer.apply(0, 2, T0 + 9 * DAY_MS)  # after b comes c
    scorer.apply(5, 1, T0 + 9 * DAY_MS)  # a new user
    scorer.apply(5, 0, T0 + 9 * DAY_MS)  # after b comes a
    scorer.apply(6, 1, T0 + 9 * DAY_MS)
    scorer.apply(6, 0, T0 + 9 * DAY_MS)
    assert np.argmax(scorer.scores([after("b")])[0]) == 0
    scorer.fit(part)
    assert np.argmax(scorer.scores([after("b")])[0]) == 2


def test_the_counting_baselines_learn_live_and_the_neighbours_do_not() -> None:
    assert isinstance(RecentPopularity(half_life_days=1), LiveScorer)
    assert isinstance(CoOccurrence(half_life_days=1), LiveScorer)
    assert not isinstance(ItemKNN(k=1, shrink=0, num_last=1), LiveScorer)


# --- neighbours


def test_item_neighbours_are_cosines_between_sets_of_users() -> None:
    scorer = ItemKNN(k=10, shrink=0, num_last=10)
    scorer.fit(part_of("ab", "ab", "ac", "c", "aab"))  # a: 0 1 2 4, b: 0 1 4, c: 2 3
    scores = scorer.scores([after("a"), after("bc")])
    assert scores[0] == pytest.approx([0, 3 / math.sqrt(4 * 3), 1 / math.sqrt(4 * 2)])
    assert scores[1, 0] == pytest.approx(3 / math.sqrt(12) + 1 / math.sqrt(8))


def test_an_item_keeps_its_nearest_neighbours_only() -> None:
    scorer = ItemKNN(k=1, shrink=0, num_last=1)
    scorer.fit(part_of("ab", "ab", "ac", "c"))
    assert np.flatnonzero(scorer.scores([after("a")])[0]).tolist() == [1]
    assert np.flatnonzero(scorer.scores([after("bc")])[0]).tolist() == [0]  # only the last item is looked at


def test_shrinking_damps_neighbours_that_few_users_share() -> None:
    scorer = ItemKNN(k=10, shrink=2, num_last=1)
    scorer.fit(part_of("ab", "ab"))
    assert scorer.scores([after("a")])[0, 1] == pytest.approx(2 / (2 + 2))


def test_item_neighbours_are_independent_of_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    histories = ["".join(chr(97 + item) for item in rng.integers(0, 20, 8)) for _ in range(30)]
    pasts = [after(items) for items in histories]
    scores = []
    for size in (1024, 3):
        monkeypatch.setattr("model.baselines.neighbours.ITEMS_AT_ONCE", size)
        scorer = ItemKNN(k=5, shrink=1, num_last=4)
        scorer.fit(part_of(*histories))
        scores.append(scorer.scores(pasts))
    assert np.array_equal(*scores)


def test_sessions_score_items_by_similarity_and_recency_of_shared_items() -> None:
    scorer = VSKNN(k=10, sample=10, num_last=10)
    scorer.fit(part_of("abx"[:2] + "e", "bc", "d"))
    scores = scorer.scores([after("ab")])[0]
    # weights: a 1/2, b 1; session "abe" is alike (1/2 + 1) / 2, session "bc" 1 / 2; both share the newest item: decay 1
    assert scores == pytest.approx([0.75, 0.75 + 0.5, 0.5, 0, 0.75])
    scores = scorer.scores([after("bd")])[0]
    # b weighs 1/2 and is two steps back, d weighs 1 and is the newest
    assert scores == pytest.approx([0.125, 0.25, 0.125, 0.5, 0.125])


def test_only_the_most_alike_of_the_newest_sessions_are_neighbours() -> None:
    part = part_of("ac", "ad", "abe", day_of={"a": 0, "c": 1, "d": 2, "b": 1, "e": 3})
    newest = VSKNN(k=10, sample=1, num_last=10)
    newest.fit(part)
    assert np.flatnonzero(newest.scores([after("a")])[0]).tolist() == [0, 1, 4]
    nearest = VSKNN(k=1, sample=10, num_last=10)
    nearest.fit(part)
    assert np.flatnonzero(nearest.scores([after("ba")])[0]).tolist() == [0, 1, 4]


@given(st.lists(st.text("abcdefg", min_size=1, max_size=6), min_size=2, max_size=25), st.integers(1, 6))
def test_neighbours_are_those_of_the_definition(histories: list[str], sample: int) -> None:
    part = part_of(*histories, "g")
    scorer = VSKNN(k=3, sample=sample, num_last=4)
    scorer.fit(part)
    newest_first = sorted(range(len(histories) + 1), key=lambda user: -len([*histories, "g"][user]))  # a day per event
    for user, items in enumerate(histories):
        assert scorer.scores([after(items, user=user)])[0] == pytest.approx(
            defined_scores(items, user, [(session, [*histories, "g"][session]) for session in newest_first], sample)
        )


def defined_scores(items: str, user: int, sessions: list[tuple[int, str]], sample: int) -> list[float]:
    """V-SKNN over sessions (the newest first) as its definition reads, for three neighbours and four recent items."""
    recent = items[-4:]
    weight = {letter: rank / len(recent) for rank, letter in enumerate(recent, start=1)}
    sharing = [contents for owner, contents in sessions if owner != user and set(contents) & set(recent)][:sample]
    similarities = [sum(weight[letter] for letter in set(recent) & set(contents)) / len(weight) for contents in sharing]
    scores = [0.0] * 7
    for rank in sorted(range(len(sharing)), key=lambda rank: -similarities[rank])[:3]:
        contents = set(sharing[rank])
        steps = next(step for step, letter in enumerate(reversed(recent), start=1) if letter in contents)
        for letter in contents:
            scores[ord(letter) - ord("a")] += similarities[rank] / steps
    return scores


def test_a_users_own_session_is_no_neighbour() -> None:
    scorer = VSKNN(k=10, sample=10, num_last=10)
    scorer.fit(part_of("ab", "bc"))
    assert np.flatnonzero(scorer.scores([after("ab", user=0)])[0]).tolist() == [1, 2]


def test_rare_items_gain_by_idf() -> None:
    plain, lifted = (VSKNN(k=10, sample=10, num_last=10, idf=idf) for idf in (0.0, 1.0))
    part = part_of("ab", "ac", "ac", "d")
    plain.fit(part)
    lifted.fit(part)
    boost = lifted.scores([after("a")])[0][:3] / plain.scores([after("a")])[0][:3]
    assert boost == pytest.approx([1 + math.log(4 / 3), 1 + math.log(4), 1 + math.log(2)])


def test_neighbours_answer_an_empty_or_unknown_history_with_zeros() -> None:
    part = part_of("abc", "ab")
    for scorer in (ItemKNN(k=5, shrink=0, num_last=5), VSKNN(k=5, sample=5, num_last=5)):
        scorer.fit(TrainingPart(part.columns, part.train, part.validation, 9))
        assert not scorer.scores([after(""), after("i")]).any()


# --- networks


def small(**changes: Any) -> ModelConfig:
    base: dict[str, Any] = {
        "width": 16,
        "inner_width": 32,
        "window": WindowShape(10, 5),
        "dropout": 0.1,
        "contents": (),
    }
    return ModelConfig(**{**base, **changes})


@pytest.mark.parametrize("network", [SASRec, GRU4Rec])
def test_the_last_query_equals_the_query_at_that_position(network: NetworkClass) -> None:
    model = network(small(), num_items=9).initialise(seed=0).eval()
    items = torch.randn(3, 6, 16)
    times_ms = torch.zeros(3, 6, dtype=torch.int64)
    lengths = torch.tensor([6, 1, 4])
    everywhere = model(items, times_ms)
    torch.testing.assert_close(model.last(items, times_ms, lengths), everywhere[torch.arange(3), lengths - 1])


@pytest.mark.parametrize("network", [SASRec, GRU4Rec])
def test_a_network_reads_no_time_and_nothing_after_a_position(network: NetworkClass) -> None:
    model = network(small(), num_items=9).initialise(seed=0).eval()
    items, later = torch.randn(2, 6, 16), torch.randn(2, 6, 16)
    later[:, :4] = items[:, :4]
    states = model(items, torch.zeros(2, 6, dtype=torch.int64))
    later_states = model(later, torch.arange(12).view(2, 6) * DAY_MS)
    torch.testing.assert_close(states[:, :4], later_states[:, :4])
    assert not torch.allclose(states[:, 4], later_states[:, 4])


@pytest.mark.parametrize("network", [SASRec, GRU4Rec, HM4SR])
def test_networks_learn_the_next_item_deterministically(network: NetworkClass, shop: Catalogue) -> None:
    catalogue = Catalogue(np.arange(40), shop.item_ids, shop.texts, shop.categories, shop.listed)
    theme = [item for item in range(40) if item % 4 == 1]
    users = np.repeat(np.arange(60), 8)
    items = np.array([theme[(user + step) % 10] for user in range(60) for step in range(8)])
    columns = EventColumns(users, items, T0 + np.arange(480) * 60_000)
    validation = np.arange(7, 480, 8)
    part = TrainingPart(columns, np.setdiff1d(np.arange(480), validation), validation, 40)
    history = History(np.array(theme[:4]), T0 + np.arange(4) * 60_000)
    runs = []
    for _ in range(2):
        plan = TrainingPlan(epochs=12, patience=12, batch_events=128, learning_rate=0.01, warmup_steps=5)
        scorer = NetworkScorer(network, small(), plan, Contents(catalogue), seed=3, progress=lambda at: None)
        scorer.fit(part)
        runs.append(scorer.scores([Past(0, history), Past(0, History(history.items[:0], history.times_ms[:0]))]))
    assert np.argmax(runs[0][0]) == theme[4]
    assert not runs[0][1].any()
    assert np.array_equal(*runs)
    assert scorer.report["validation_ndcg_10"] > 0.5
