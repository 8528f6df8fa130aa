"""What the incremental encoder is worth: events per second on one core against a full encode of every window.

    python -m benchmarks.incremental [--window 50 --step 10] [--width 64] [--users 2000] [--rounds 30] [--batch 256]

The model is untrained (speed does not depend on the weights) with id and text towers; users are walked through random
histories, so that windows slide as they do in service. Both encoders answer the same calls, taken in turns, in one run.
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.report import percentiles, publish
from core.catalogue.items import Catalogue
from core.events.history import History, WindowShape, windows_of
from model.bundle import BoundEncoder, HM4SRBundle
from model.features import VectorFeatures
from model.inference.incremental import IncrementalEncoder
from model.network.config import Modality, ModelConfig
from model.network.hm4sr import HM4SR
from model.training.threads import limit_threads

NUM_ITEMS = 5_000
TEXT_SIZE = 128
START_MS = 1_600_000_000_000


@dataclass
class Walkers:
    """Users who take one random step after the other; a window is a view of a walk long enough for all of them."""

    shape: WindowShape
    items: np.ndarray
    times_ms: np.ndarray
    taken: np.ndarray

    def step(self, user: int | np.integer[Any]) -> History:
        """The user's window after one more event."""
        self.taken[user] += 1
        end = self.taken[user]
        return windows_of(self.items[user, :end], self.times_ms[user, :end], self.shape).history


def main() -> None:
    """Measure and print."""
    options = _options()
    limit_threads(1)
    rng = np.random.default_rng(0)
    shape = WindowShape(options.window, options.step)
    encoder = _encoder(options.width, shape, rng)
    users, length = options.users, options.window + options.rounds + 3
    walkers = Walkers(
        shape,
        rng.integers(0, NUM_ITEMS, (users, 2 * length)),
        START_MS + rng.integers(0, 10**7, (users, 2 * length)).cumsum(1),
        rng.integers(options.window // 2, length, users),
    )
    figures: dict[str, object] = {"window": options.window, "step": options.step, "width": options.width}
    warm = IncrementalEncoder(encoder, memory_mib=1024)
    figures |= _throughput(warm, encoder, walkers, rounds=options.rounds, batch=options.batch)
    figures["MiB per cached user"] = round(1024 / warm.max_cached_users, 3)
    figures["single event"] = _singles(warm, walkers)
    figures |= _few_known(warm, walkers, rounds=max(2, options.rounds // 10), batch=options.batch, rng=rng)
    publish("Incremental encoding, one core, window steps included", figures)


def _throughput(
    warm: IncrementalEncoder, encoder: BoundEncoder, walkers: Walkers, *, rounds: int, batch: int
) -> dict[str, object]:
    """Events per second of both encoders over the same calls; the first round only fills the cache."""
    users = np.arange(len(walkers.taken))
    warm.encode(users.tolist(), [walkers.step(user) for user in users])
    full_before = warm.counts.full
    fast_s = plain_s = worst = 0.0
    for _ in range(rounds):
        for part in np.array_split(users, max(1, len(users) // batch)):
            histories = [walkers.step(user) for user in part]
            begin = time.perf_counter()
            fast = warm.encode(part.tolist(), histories)
            middle = time.perf_counter()
            plain = encoder.encode(histories)
            plain_s += time.perf_counter() - middle
            fast_s += middle - begin
            worst = max(worst, float(np.abs(fast - plain).max()))
    events = rounds * len(users)
    return {
        "events/s, incremental": round(events / fast_s),
        "events/s, full encode": round(events / plain_s),
        "times as fast": round(plain_s / fast_s, 1),
        "share of full encodes": round((warm.counts.full - full_before) / events, 3),
        "largest difference": worst,
    }


def _singles(warm: IncrementalEncoder, walkers: Walkers) -> dict[str, float]:
    """One event at a time, each of another user."""
    seconds = []
    for user in range(min(1000, len(walkers.taken))):
        history = [walkers.step(user)]
        begin = time.perf_counter()
        warm.encode([user], history)
        seconds.append(time.perf_counter() - begin)
    return percentiles(seconds)


def _few_known(
    warm: IncrementalEncoder, walkers: Walkers, *, rounds: int, batch: int, rng: np.random.Generator
) -> dict[str, object]:
    """Events per second where four in five users of each call have never been seen, as in a memory far too small."""
    regulars, num_known, spent_s = len(walkers.taken) // 5, batch // 5, 0.0
    strangers, before = itertools.count(len(walkers.taken)), replace(warm.counts)
    for _ in range(rounds * len(walkers.taken) // batch):
        known = rng.choice(regulars, num_known, replace=False)
        others = regulars + rng.choice(len(walkers.taken) - regulars, batch - num_known, replace=False)
        histories = [walkers.step(user) for user in (*known, *others)]
        users = [*known.tolist(), *itertools.islice(strangers, batch - num_known)]
        begin = time.perf_counter()
        warm.encode(users, histories)
        spent_s += time.perf_counter() - begin
    full = warm.counts.full - before.full
    extended = warm.counts.extended - before.extended
    return {
        "events/s, one user in five known": round((full + extended) / spent_s),
        "share of calls that were extended": round(extended / (full + extended), 3),
    }


def _encoder(width: int, shape: WindowShape, rng: np.random.Generator) -> BoundEncoder:
    """An untrained model bound to a catalogue of numbered items."""
    ids = tuple(str(item) for item in range(NUM_ITEMS))
    text = VectorFeatures("text", ids, rng.standard_normal((NUM_ITEMS, TEXT_SIZE)).astype(np.float32))
    config = ModelConfig(width=width, window=shape, contents=(Modality("text", TEXT_SIZE),))
    model = HM4SR(config, num_items=NUM_ITEMS).initialise(seed=0)
    nothing = ("",) * NUM_ITEMS
    listed = np.ones(NUM_ITEMS, np.bool_)
    catalogue = Catalogue(np.arange(NUM_ITEMS), ids, nothing, ((),) * NUM_ITEMS, listed)
    return HM4SRBundle(model, ids, (text,), "untrained").bind(catalogue)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("window", 50), ("step", 10), ("width", 64), ("users", 2000), ("rounds", 30), ("batch", 256)):
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


if __name__ == "__main__":
    main()
