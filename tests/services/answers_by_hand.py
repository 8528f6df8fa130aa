"""The right answer to a query, made slowly: one user's whole history from SQL, one full re-encode, one sort."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from oracle import NUM_SEEN, NUM_WINDOWED, Snapshot, window_start

from core.catalogue.items import Catalogue
from core.clock import WallClock
from core.events.history import History
from core.ports.encoder import Encoder
from model.checkpoint import load
from storage import open_store

CLOSE = 1e-4  # scores are float32 sums of some 50 products


class AnswersByHand:
    """Checks answers against a database that nobody changes meanwhile, under the model in `model`."""

    def __init__(self, data: Path, model: Path, *, size: int, step: int) -> None:
        self._size, self._step = size, step
        self._bundle = load(model)
        self._catalogue = _catalogue(data)
        self._is_listed = self._catalogue.listed_at(WallClock().now_ms())
        self._encoder: Encoder = self._bundle.bind(self._catalogue)
        snapshot = Snapshot(data / "tidewise.db")
        self._users = snapshot.users
        self._histories = snapshot.histories(NUM_WINDOWED)
        self._seen = snapshot.histories(NUM_SEEN)

    def check(self, user_id: str, answer: Mapping[str, Any]) -> None:
        """The answer stands at the user's newest event, shows nothing seen, and holds the best of all the rest."""
        assert answer["user_seq"] == self._users[user_id].seq
        listed = self._listed(user_id)
        assert {item["item_id"] for item in answer["items"]} <= listed.keys(), (
            "hidden, expired, seen or not in the catalogue"
        )
        if not self._histories.get(user_id):
            assert answer["source"] == "popularity"
            return
        assert (answer["source"], answer["model_version"]) == ("model", self._bundle.version)
        scores = self._scores(user_id, listed, gap_ms=answer["gap_ms"])
        shown = [scores[item["item_id"]] for item in answer["items"]]
        np.testing.assert_allclose([item["score"] for item in answer["items"]], shown, atol=CLOSE)
        best = sorted(scores.values(), reverse=True)[: len(shown)]
        np.testing.assert_allclose(shown, best, atol=CLOSE)  # in this order, and nothing better was left out

    def _listed(self, user_id: str) -> dict[str, int]:
        """The rows of all items that may be shown to a user, by id."""
        seen = {item_key for item_key, _ in self._seen.get(user_id, ())}
        catalogue = self._catalogue
        rows = zip(catalogue.item_ids, catalogue.keys.tolist(), self._is_listed.tolist(), strict=True)
        return {item_id: row for row, (item_id, key, is_listed) in enumerate(rows) if is_listed and key not in seen}

    def _scores(self, user_id: str, listed: Mapping[str, int], *, gap_ms: int) -> dict[str, float]:
        history = self._histories[user_id]
        window = np.array(history[window_start(len(history), size=self._size, step=self._step) :], np.int64)
        vectors = self._encoder.encode([History(window[:, 0], window[:, 1])])
        query = self._encoder.query(vectors, np.array([gap_ms], np.int64))[0]
        scores = self._encoder.items(np.array(list(listed.values()), np.int64)) @ query
        return dict(zip(listed, scores.tolist(), strict=True))


def _catalogue(data: Path) -> Catalogue:
    with closing(open_store(f"sqlite:///{data / 'tidewise.db'}")) as store, store.read() as read:
        return read.items.catalogue()
