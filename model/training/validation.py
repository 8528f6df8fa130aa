"""The metric that early stopping watches: full-ranking NDCG@10 of held-out events. Independent of optimisers.

Each held-out event is predicted from the window strictly before it, cut as in serving.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from model.network.hm4sr import HM4SR
from model.training.data import TrainingData
from model.training.process_group import SINGLE, ProcessGroup
from model.training.sequences import contexts, padded

BATCH_WINDOWS = 64
TOP = 10


@torch.no_grad()
def validation_ndcg(model: HM4SR, data: TrainingData, *, with_gap: bool = True, group: ProcessGroup = SINGLE) -> float:
    """Every candidate is ranked for every held-out event; an item that ties with the target stands before it.

    The processes of a group divide the events.

    A model that reads the gap to now gets the gap to a moment drawn between the last event and the target, as in a live
    system; with `with_gap=False` it gets none. Repeat scores are added; a model trained to hide seen items does not
    rank them.
    """
    model.eval()
    table_NC = model.item_vectors(data.id_rows, dict(data.features))
    held_out = data.split.validation
    windows = contexts(data.columns, held_out, model.config.window)
    order = np.argsort(windows.length, kind="stable")
    moments = np.random.default_rng(0).random(len(held_out))
    gain = torch.zeros(1, dtype=torch.float64)
    for part in np.array_split(order, math.ceil(len(order) / BATCH_WINDOWS))[group.rank :: group.size]:
        window = windows.take(part)
        inputs_BL = torch.from_numpy(padded(window)[0]).to(data.items.device)
        lengths_B = torch.from_numpy(window.length).to(data.items.device)
        queries_BC = model.last(table_NC[data.items[inputs_BL]], data.times_ms[inputs_BL], lengths_B)
        held_out_B = torch.from_numpy(held_out[part]).to(data.items.device)
        if with_gap and model.now_gap is not None:
            gaps_ms_B = data.times_ms[held_out_B] - data.times_ms[held_out_B - 1]
            drawn_ms_B = (gaps_ms_B * torch.from_numpy(moments[part]).to(gaps_ms_B.device)).long()
            queries_BC = model.now_gap(queries_BC, model.now_gap.rows(drawn_ms_B))
        scores_BN = queries_BC @ table_NC.T
        targets_B1 = data.items[held_out_B].unsqueeze(1)
        added_BL = model.score_offsets(data.times_ms[inputs_BL], lengths_B - 1)
        if added_BL is not None:
            scores_BN.scatter_add_(1, data.items[inputs_BL], added_BL)
        ranks_B = (scores_BN >= scores_BN.gather(1, targets_B1)).sum(1)
        gain += float((1 / torch.log2(ranks_B + 1.0))[ranks_B <= TOP].sum())
    group.add(gain)
    return float(gain) / len(held_out)
