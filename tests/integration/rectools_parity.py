"""Run by the peers' Python: our vectors rank like RecTools' `recommend`, and losses without padding equal its own."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "peers"))

import numpy as np
import torch
from exchange import PeerTask, Queries
from rectools import Columns
from rectools.models.nn.transformers.lightning import TransformerLightningModule
from rectools_models import RecToolsModel, dataset_of

NUM_USERS, NUM_ITEMS, LENGTH, DEPTH = 30, 40, 9, 10


def task() -> PeerTask:
    """Users with 2 to 9 events; sessions of 6."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(NUM_USERS), rng.integers(2, LENGTH + 1, NUM_USERS))
    items = rng.integers(0, NUM_ITEMS, len(users))
    nothing = Queries(np.empty(0, np.int64), [], np.empty(0, np.int64))
    config = {"n_factors": 8, "n_blocks": 1, "n_heads": 1, "dropout_rate": 0.0, "batch_size": 8}
    plan = {"epochs": 2, "max_seconds": None, "window": 6, "threads": 1}
    return PeerTask(
        model="",
        config=config,
        seed=0,
        num_items=NUM_ITEMS,
        **plan,
        device="cpu",
        hides_seen=False,
        users=users,
        items=items,
        times_ms=np.arange(len(users)) * 1000,
        validation=nothing,
    )


def check(name: str) -> None:
    """One network."""
    given = task()
    peer = RecToolsModel(name, given)
    peer.fit(lambda progress: None)
    histories = [given.items[given.users == user] for user in range(NUM_USERS)]
    rows, queries = peer.query_vectors(Queries(np.arange(NUM_USERS), histories, np.full(NUM_USERS, -1)))
    items, vectors = peer.item_vectors()
    ours = items[np.argsort(-queries @ vectors.T, axis=1)[:, :DEPTH]]
    theirs = peer.model.recommend(np.arange(NUM_USERS), dataset_of(given), k=DEPTH, filter_viewed=False)
    for user in rows:
        assert theirs.loc[theirs[Columns.User] == user, Columns.Item].tolist() == ours[user].tolist(), (name, user)
    module = peer.model.lightning_model.train()
    module.log = lambda *_, **__: None
    for batch in peer.model.data_preparator.get_dataloader_train():
        own = module.training_step(batch, 0)
        original = TransformerLightningModule.training_step(module, batch, 0)
        torch.testing.assert_close(own, original)


for network in ("sasrec", "sasrec-sampled", "ligr", "bert4rec"):
    check(network)
