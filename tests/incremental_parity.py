"""The check that a network's incremental encoder gives what a full encode gives, while histories grow."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from core.catalogue.items import Catalogue
from core.events.history import History
from model.bundle import HM4SRBundle
from model.inference.incremental import IncrementalEncoder


def num_extended_as_full(
    bundle: HM4SRBundle,
    shop: Catalogue,
    make_history: Callable[..., History],
    *,
    lengths: Iterable[int] = (3, 4, 6, 10),
    num_users: int = 6,
) -> int:
    """Encode growing histories both ways and compare them; returns how many were extended, not encoded whole."""
    plain = bundle.bind(shop)
    incremental = IncrementalEncoder(plain, memory_mib=1)
    lengths = list(lengths)
    histories = [make_history(max(lengths), seed=seed) for seed in range(num_users)]
    for length in lengths:
        parts = [History(history.items[:length], history.times_ms[:length]) for history in histories]
        np.testing.assert_allclose(incremental.encode(range(num_users), parts), plain.encode(parts), atol=1e-5)
    return incremental.counts.extended
