"""Growth: id rows for items that a model has never seen, so that fine-tuning starts them where their content says.

Independent of training. Shapes: N items with a row, K new items, F numbers of content, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from core.arrays import FloatArray
from core.catalogue.items import Catalogue
from model.bundle import HM4SRBundle
from model.network.hm4sr import HM4SR, UNSEEN

RIDGE = 10.0  # of the regression, in items: with few items with content it says next to nothing
MAX_ITEMS = 20_000  # that the regression reads; more would not move it


def grow(parent: HM4SRBundle, catalogue: Catalogue, new_ids: Sequence[str]) -> HM4SR:
    """A copy of the network, ready to be trained, with rows for new items behind those that there are."""
    grown = HM4SR(parent.config, num_items=parent.model.num_items + len(new_ids))
    state = dict(parent.model.state_dict())
    if parent.config.use_id:
        rows = torch.from_numpy(first_rows(parent, catalogue, new_ids))
        state["id_embedding"] = torch.cat([state["id_embedding"], rows])
    grown.load_state_dict(state)
    return grown


def first_rows(parent: HM4SRBundle, catalogue: Catalogue, new_ids: Sequence[str]) -> FloatArray:
    """(K, D): the "unseen" row, moved by what content tells of the rows of known items (ridge regression)."""
    table = parent.model.id_embedding.detach().numpy()
    rows = np.repeat(table[UNSEEN][None], len(new_ids), axis=0)
    row_of = {item_id: row for row, item_id in enumerate(catalogue.item_ids)}
    known = [item_id for item_id in parent.item_ids if item_id in row_of][-MAX_ITEMS:]
    if not known or not new_ids or not parent.sources:
        return np.asarray(rows, np.float32)
    known_NF = _contents(parent, catalogue, [row_of[item_id] for item_id in known])
    new_KF = _contents(parent, catalogue, [row_of[item_id] for item_id in new_ids])
    target_ND = table[parent.id_rows(known)].astype(np.float64)
    mean_D, mean_F = target_ND.mean(0), known_NF.mean(0)
    centred_NF = known_NF - mean_F
    gram_FF = centred_NF.T @ centred_NF + RIDGE * np.eye(known_NF.shape[1])
    weights_FD = np.linalg.solve(gram_FF, centred_NF.T @ (target_ND - mean_D))
    has_content_K = np.abs(new_KF).sum(1, keepdims=True) > 0
    return np.asarray(rows + np.where(has_content_K, (new_KF - mean_F) @ weights_FD, 0.0), np.float32)


def _contents(parent: HM4SRBundle, catalogue: Catalogue, rows: Sequence[int]) -> np.ndarray:
    """(N, F) features of all sources side by side, zeros where a source has nothing to say."""
    columns = []
    for source in parent.sources:
        keys = source.keys(catalogue)
        columns.append(source.transform([keys[row] for row in rows])[0].astype(np.float64))
    return np.concatenate(columns, axis=1)
