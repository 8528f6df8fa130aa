"""How good the answers were: every replayed event ranked in process under the state strictly before it.

    python -m benchmarks.tables.replay_quality --data .tidewise --from 975768738000

Reads a database after a replay. Each event from that time on is ranked among all catalogue items three ways: by the
champion on the user's window before the event (by popularity where there is none yet, as the product answers), by
live-updated time-decayed popularity, and by live-updated co-occurrence with the user's last item. The baselines are
given every event before the one they rank, the training part included. Popularity's half-life is chosen on the last
tenth of the training part.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.report import publish
from core.arrays import FloatArray, IntArray
from core.catalogue.items import Catalogue
from core.clock import DAY_MS
from core.evaluation.metrics import Array, bootstrap_over_users, hit, ndcg
from core.events.history import History, WindowShape
from core.ports.encoder import Encoder
from core.recommendation.ranking.added_scores import add_repeats
from tidewise.bootstrap import load_model, open_system
from tidewise.settings.schema import load_settings

HALF_LIVES_DAYS = (1.0, 7.0, 30.0, 180.0)
BATCH = 512
TUNING_SHARE = 0.1
PAIRS = (("model", "popularity"), ("model", "co-occurrence"))

Ranks = dict[str, Array]  # "all": among all items; "unseen": the user's earlier items left out


@dataclass(frozen=True)
class ColumnLog:
    """All windowed events sorted by (user, time, sequence), items as catalogue rows, and the same in time order."""

    users: IntArray
    rows: IntArray
    times_ms: IntArray
    starts: IntArray  # (n,) the position of the first event of the event's user
    in_time: IntArray  # event numbers in time order

    @classmethod
    def of(cls, users: IntArray, rows: IntArray, times_ms: IntArray) -> ColumnLog:
        """The log of these columns."""
        first = np.flatnonzero(np.diff(users, prepend=users[:1] - 1))
        starts = first[np.searchsorted(first, np.arange(len(users)), side="right") - 1]
        return cls(users, rows, times_ms, starts, np.argsort(times_ms, kind="stable"))


def ranks_of(scores: FloatArray, target: int, seen: IntArray) -> tuple[float, float]:
    """The rank of the target among all rows, and without the seen ones; equal scores share their ranks."""
    score = scores[target]
    above, equal = np.count_nonzero(scores > score), np.count_nonzero(scores == score) - 1
    rivals = np.unique(seen[seen != target])
    hidden = scores[rivals]
    fewer_above, fewer_equal = np.count_nonzero(hidden > score), np.count_nonzero(hidden == score)
    return above + equal / 2, above - fewer_above + (equal - fewer_equal) / 2


def score_model(log: ColumnLog, events: IntArray, encoder: Encoder, catalogue: Catalogue, shape: WindowShape) -> Ranks:
    """Ranks by the model; NaN where the user had no event before."""
    ranks, everything = np.full((len(events), 2), np.nan), np.arange(len(catalogue))
    table = encoder.items(everything)
    known = np.flatnonzero(events > log.starts[events])
    for part in np.array_split(known, max(1, len(known) // BATCH)):
        histories = [_window(log, int(event), shape) for event in events[part]]
        scores = encoder.encode(histories) @ table.T
        add_repeats(scores, everything, encoder, catalogue, histories)
        for number, row_scores in zip(part, scores, strict=True):
            event = int(events[number])
            seen = log.rows[log.starts[event] : event]
            ranks[number] = ranks_of(row_scores, int(log.rows[event]), seen)
    return {"all": ranks[:, 0], "unseen": ranks[:, 1]}


def _window(log: ColumnLog, event: int, shape: WindowShape) -> History:
    """The window of the user strictly before an event. Items are rows here, as the encoder is bound so."""
    begin = int(log.starts[event])
    begin += shape.start(event - begin)
    return History(log.rows[begin:event], log.times_ms[begin:event])


class Popularity:
    """Time-decayed counts, updated event by event: 2^(t/h) added up, a double for 1,000 half-lives."""

    def __init__(self, num_items: int, *, half_life_days: float, origin_ms: int) -> None:
        self._scores = np.zeros(num_items)
        self._half_life_ms = half_life_days * DAY_MS
        self._origin_ms = origin_ms

    def scores(self, last_row: int | None) -> FloatArray:
        """(N,) scores; the last item plays no part."""
        return self._scores  # type: ignore[return-value]

    def apply(self, row: int, last_row: int | None, time_ms: int) -> None:
        """Count one event."""
        self._scores[row] += np.exp2((time_ms - self._origin_ms) / self._half_life_ms)


class NextItemCounts:
    """How often each item came next after the last one, ties by popularity; updated event by event."""

    def __init__(self, num_items: int, popularity: Popularity) -> None:
        self._counts = np.zeros((num_items, num_items), np.float32)
        self._popularity = popularity

    def scores(self, last_row: int | None) -> FloatArray:
        """(N,) scores."""
        popular = self._popularity.scores(last_row)
        if last_row is None:
            return popular
        scores: FloatArray = self._counts[last_row] + popular / (popular.max() * 2 + 1e-300)
        return scores

    def apply(self, row: int, last_row: int | None, time_ms: int) -> None:
        """Count one event."""
        if last_row is not None:
            self._counts[last_row, row] += 1


Arm = Popularity | NextItemCounts


def score_baseline(log: ColumnLog, events: set[int], arms: dict[str, Arm], until: int) -> dict[str, Ranks]:
    """Ranks of these events by each arm, in one pass over the first `until` events in time order."""
    order = np.array(sorted(events))
    ranks = {name: np.full((len(order), 2), np.nan) for name in arms}
    number_of = {int(event): number for number, event in enumerate(order)}
    for event in map(int, log.in_time[:until]):
        row, begin = int(log.rows[event]), int(log.starts[event])
        last = int(log.rows[event - 1]) if event > begin else None
        if event in events:
            for name, arm in arms.items():
                ranks[name][number_of[event]] = ranks_of(arm.scores(last), row, log.rows[begin:event])
        for arm in arms.values():
            arm.apply(row, last, int(log.times_ms[event]))
    return {name: {"all": values[:, 0], "unseen": values[:, 1]} for name, values in ranks.items()}


def choose_half_life(log: ColumnLog, from_ms: int, num_items: int, sample: Callable[[IntArray], IntArray]) -> float:
    """The half-life that ranks the last tenth of the training part best (NDCG@10, seen items left out)."""
    until = int(np.searchsorted(log.times_ms[log.in_time], from_ms))
    tuning = sample(log.in_time[int(until * (1 - TUNING_SHARE)) : until])
    origin_ms = int(log.times_ms.min())
    arms: dict[str, Arm] = {
        str(days): Popularity(num_items, half_life_days=days, origin_ms=origin_ms) for days in HALF_LIVES_DAYS
    }
    results = score_baseline(log, set(tuning.tolist()), arms, until)
    return float(max(results, key=lambda name: float(ndcg(results[name]["unseen"], 10).mean())))


def compare(ranks: dict[str, Ranks], users: IntArray, members: np.ndarray) -> dict[str, object]:
    """HR@10 and NDCG@10 of each arm over the chosen events, and paired differences with 95% intervals."""
    figures: dict[str, object] = {"events": int(members.sum()), "users": len(np.unique(users[members]))}
    for kind in ("all", "unseen"):
        for name, arm in ranks.items():
            ranks_of_kind = arm[kind][members]
            values = {
                "HR@10": round(float(hit(ranks_of_kind, 10).mean()), 4),
                "NDCG@10": round(float(ndcg(ranks_of_kind, 10).mean()), 4),
            }
            figures[f"{name}, {_words(kind)}"] = values
        for better, worse in PAIRS:
            difference = ndcg(ranks[better][kind][members], 10) - ndcg(ranks[worse][kind][members], 10)
            interval = bootstrap_over_users(difference, users[members])
            bounds = {"mean": round(interval.mean, 4), "low": round(interval.low, 4), "high": round(interval.high, 4)}
            figures[f"NDCG@10 {better} - {worse}, {_words(kind)}"] = bounds
    return figures


def _words(kind: str) -> str:
    return "all items" if kind == "all" else "seen items left out"


def sampler(share: float, seed: int = 0) -> Callable[[IntArray], IntArray]:
    """Keeps a random share of events, in order."""

    def sample(events: IntArray) -> IntArray:
        mask = np.random.default_rng(seed).random(len(events)) < share
        return np.sort(events[mask])

    return sample


def main() -> None:
    """Score and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--from", dest="from_ms", type=int, required=True, help="first replayed event (ms since 1970)")
    parser.add_argument("--share", type=float, default=1.0, help="the share of events to score, drawn at random")
    options = parser.parse_args()
    started_s = time.monotonic()
    system = open_system(load_settings(overrides={"data.folder": str(options.data)}), check_meta=False)
    with system.store.read() as read:
        columns = read.events.columns(type_codes=system.types.flagged("window"))
        catalogue, champion = read.items.catalogue(), read.models.champion()
    if champion is None:
        parser.error("the database has no model; run `tidewise train` first")
    # Items become rows of the catalogue here; the encoder is bound to a catalogue whose keys are those rows.
    log = ColumnLog.of(columns.users, catalogue.rows(columns.items), columns.times_ms)
    numbered = replace(catalogue, keys=np.arange(len(catalogue)))
    encoder = load_model(system.settings, champion).bind(numbered)
    sample = sampler(options.share)
    events = sample(np.flatnonzero(columns.times_ms >= options.from_ms))
    half_life = choose_half_life(log, options.from_ms, len(catalogue), sampler(min(1.0, options.share, 0.2)))
    origin_ms = int(columns.times_ms.min())
    popularity = Popularity(len(catalogue), half_life_days=half_life, origin_ms=origin_ms)
    arms: dict[str, Arm] = {"popularity": popularity, "co-occurrence": NextItemCounts(len(catalogue), popularity)}
    ranks = score_baseline(log, set(events.tolist()), arms, len(log.in_time))
    ranks["model"] = score_model(log, events, encoder, numbered, system.shape)
    for kind, model_ranks in ranks["model"].items():
        ranks["model"][kind] = np.where(np.isnan(model_ranks), ranks["popularity"][kind], model_ranks)
    trained_users = np.unique(columns.users[columns.times_ms < options.from_ms])
    known = np.isin(columns.users[events], trained_users)
    context = {
        "model": champion.version,
        "half-life of popularity (days)": half_life,
        "catalogue": int(catalogue.listed.sum()),
    }
    users = columns.users[events]
    publish("users with training events", {**context, **compare(ranks, users, known)})
    publish("other users", compare(ranks, users, ~known))
    publish(
        "everybody",
        {**compare(ranks, users, np.ones(len(events), bool)), "seconds": round(time.monotonic() - started_s)},
    )
    system.close()


if __name__ == "__main__":
    main()
