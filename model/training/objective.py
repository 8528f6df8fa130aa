"""The training objective: from a batch of windows to one loss. Independent of optimisers, epochs or clocks.

The next-item loss at every position in one pass (cross-entropy or gBCE), and what is switched on of IDCL, CP and PCL.
IDCL and PCL are computed at the last and one random position of each window, CP once for each distinct item. Shapes: N
candidates, R rows in use, B windows, L events, M towers, P positions, Q = 2 * B picked positions, C = M * D.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from model.network.content_experts import imbalance
from model.network.hm4sr import HM4SR, UNSEEN, TowerInputs, queries_of
from model.network.now_gap import UNKNOWN
from model.training.data import TrainingData
from model.training.losses import category_prediction, generalised_bce, id_contrast, placeholder_contrast
from model.training.negatives import mixed, uniform
from model.training.process_group import SINGLE, ProcessGroup, Share
from model.training.sequences import Sequences, padded, trained_positions
from model.training.softmax import Added, cross_entropy

GAP_SHARE = 0.5  # of the queries in training; the others get `UNKNOWN`, so that the vector alone stays a good query


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows ready to be read. `rows_R`: the candidates in use; `inputs_BL` and the others point into it."""

    rows_R: Tensor
    inputs_BL: Tensor
    targets_BL: Tensor
    times_ms_BL: Tensor
    gaps_ms_BL: Tensor  # from each input to its target
    real_BL: Tensor
    trained_BL: Tensor  # the real ones whose targets the next-item loss predicts
    scored_N: Tensor | None  # which rows the next-item loss runs over, None for all; gBCE: its negatives
    bias_N: Tensor | None

    def windows(self, kept: slice) -> Batch:
        """Some of its windows, with all its candidates."""
        names = ("inputs_BL", "targets_BL", "times_ms_BL", "gaps_ms_BL", "real_BL", "trained_BL")
        return replace(self, **{name: getattr(self, name)[kept] for name in names})


@dataclass(frozen=True, slots=True)
class Picked:
    """The positions of IDCL and PCL in each window of the whole batch, with their targets."""

    picks_BP: Tensor
    targets_Q: Tensor
    share: Share  # of this process


@dataclass(frozen=True)
class Objective:
    """The loss of one model on one set of data.

    Above `sampled_above` candidates the softmax runs over the batch's targets and `num_samples` uniform ones, each
    corrected by the logarithm of its probability to be among them (log-Q). `calibration`: gBCE's t, over `num_samples`
    uniform negatives; None: softmax. `probabilities_n`: of each event to be a target in an epoch (see `recency`); None:
    all are. `group`: the processes that divide the windows of each batch; `draws`: the generator of random numbers,
    the same in all of them (None: torch's default generator).
    """

    model: HM4SR
    data: TrainingData
    sampled_above: int
    num_samples: int
    dtype: torch.dtype = torch.float32  # what the softmax over the items multiplies
    probabilities_n: Tensor | None = None
    group: ProcessGroup = SINGLE
    draws: torch.Generator | None = None
    calibration: float | None = None

    def __call__(self, sequences: Sequences) -> Tensor:
        """The weighted sum of the losses that are switched on; over all processes these add up to that of the batch.

        The released preset computes them as the released code: IDCL and PCL at the last position alone, CP at each.
        """
        whole, share = self.prepare(sequences), self.group.share_of(len(sequences))
        batch = whole.windows(share.windows)
        vectors_RC = self.model.item_vectors(self._dropped_ids(batch.rows_R), self.data.take(batch.rows_R))
        events = self.model.events(F.embedding(batch.inputs_BL, vectors_RC), batch.times_ms_BL)
        towers_MBLD = self.model.run(events.vectors, events.bias)
        positions = share.positions(whole.trained_BL)
        num_trained = int(whole.trained_BL.sum())
        part = (positions.stop - positions.start) / num_trained / share.num_copies
        loss: Tensor = part * self._next_item(batch, vectors_RC, towers_MBLD, num_trained, positions)
        config, weights = self.model.config, self.model.config.losses
        if config.contrasts_ids or config.uses_placeholders:
            picks_BP = self._picks(whole.real_BL)[:, : 1 if config.released else 2]
            targets_Q = whole.targets_BL.gather(1, picks_BP).flatten()
            picked = Picked(picks_BP, targets_Q, share)
            if config.contrasts_ids:
                loss = loss + weights.idcl / self.group.size * self._idcl(vectors_RC, towers_MBLD, picked)
            if config.uses_placeholders:
                loss = loss + weights.pcl / self.group.size * self._pcl(whole.real_BL, events, towers_MBLD, picked)
        if self.model.modality_weights is not None:
            loss = loss + weights.balance / self.group.size * self._imbalance(batch.rows_R)
        if config.predicts_categories:
            loss = loss + weights.cp / self.group.size * self._cp(whole, vectors_RC)
        return loss

    def prepare(self, sequences: Sequences) -> Batch:
        """Items, times and candidates of a batch of windows over the training events."""
        device, train = self.data.items.device, self.data.split.train
        places_BL, real_BL = padded(sequences)
        inputs = torch.from_numpy(train[places_BL]).to(device)
        inputs_BL, times_ms_BL = self.data.items[inputs], self.data.times_ms[inputs]
        targets = torch.from_numpy(train[places_BL + 1]).to(device)
        targets_BL, gaps_ms_BL = self.data.items[targets], self.data.times_ms[targets] - times_ms_BL
        real, trained = torch.from_numpy(real_BL).to(device), torch.from_numpy(trained_positions(sequences)).to(device)
        trained = self._drawn(trained, targets)
        num_items = len(self.data.id_rows)
        if self.calibration is None and num_items <= self.sampled_above:
            rows_R = torch.arange(num_items, device=device)
            return Batch(rows_R, inputs_BL, targets_BL, times_ms_BL, gaps_ms_BL, real, trained, None, None)
        candidates_N, bias_N = self._sampled(targets_BL[trained])
        rows_R = torch.unique(torch.cat([candidates_N, inputs_BL.flatten(), targets_BL.flatten()]))
        scored_N, inputs_BL, targets_BL = (
            torch.searchsorted(rows_R, items) for items in (candidates_N, inputs_BL, targets_BL)
        )
        return Batch(rows_R, inputs_BL, targets_BL, times_ms_BL, gaps_ms_BL, real, trained, scored_N, bias_N)

    def _drawn(self, trained_BL: Tensor, targets_BL: Tensor) -> Tensor:
        """(B, L) the trained positions whose target events are drawn in this epoch; all, if none would be."""
        if self.probabilities_n is None:
            return trained_BL
        chances_BL = self.probabilities_n[targets_BL]
        drawn_BL = trained_BL & (self._rand(*trained_BL.shape).to(chances_BL.device) < chances_BL)
        return drawn_BL if drawn_BL.any() else trained_BL

    def _sampled(self, targets_P: Tensor) -> tuple[Tensor, Tensor | None]:
        """The candidates of one step, ascending, and what is added to their scores."""
        if self.calibration is not None:
            return uniform(len(self.data.id_rows), self.num_samples, self.draws).to(targets_P.device), None
        return mixed(targets_P, self.data.target_share, self.num_samples, self.draws)

    def _dropped_ids(self, rows_R: Tensor) -> Tensor:
        """The id rows of candidates, a random few replaced by the "unseen" row for this step, everywhere at once."""
        ids_R = self.data.id_rows[rows_R]
        dropped_R = self._rand(len(rows_R)).to(ids_R.device) < self.model.config.id_dropout
        return torch.where(dropped_R, UNSEEN, ids_R)

    def _rand(self, *shape: int) -> Tensor:
        """Random numbers that are the same in all processes."""
        return torch.rand(shape, generator=self.draws)

    def _next_item(
        self, batch: Batch, vectors_RC: Tensor, towers_MBLD: Tensor, num_trained: int, positions: slice
    ) -> Tensor:
        """The loss of the next item at every trained position, which are `positions` of the whole batch's."""
        queries_PC, targets_P = queries_of(towers_MBLD)[batch.trained_BL], batch.targets_BL[batch.trained_BL]
        if self.model.now_gap is not None:
            gaps_ms_P = batch.gaps_ms_BL[batch.trained_BL]
            drawn_ms_P = (gaps_ms_P * self._rand(num_trained)[positions].to(gaps_ms_P.device)).long()
            rows_P = self.model.now_gap.rows(drawn_ms_P)
            has_gap_P = self._rand(num_trained)[positions].to(rows_P.device) < GAP_SHARE
            queries_PC = self.model.now_gap(queries_PC, torch.where(has_gap_P, rows_P, UNKNOWN))
        if self.calibration is not None:
            return self._gbce(batch, queries_PC, vectors_RC, targets_P)
        if batch.scored_N is not None:
            vectors_RC, targets_P = vectors_RC[batch.scored_N], torch.searchsorted(batch.scored_N, targets_P)
        return cross_entropy(
            queries_PC, vectors_RC, targets_P, batch.bias_N, added=self._added(batch), dtype=self.dtype
        )

    def _gbce(self, batch: Batch, queries_PC: Tensor, vectors_RC: Tensor, targets_P: Tensor) -> Tensor:
        """The loss over the drawn negatives; what a window adds counts for targets too, unless it hides them."""
        assert batch.scored_N is not None
        assert self.calibration is not None
        positive_P = (queries_PC * vectors_RC[targets_P]).sum(1)
        negative_PN = queries_PC @ vectors_RC[batch.scored_N].T
        own = self._window_scores(batch)
        if own is not None:
            of_target_PS = torch.where(own.places_PS == targets_P.unsqueeze(1), own.scores_PS, 0.0)
            positive_P = positive_P + of_target_PS.masked_fill(of_target_PS.isneginf(), 0.0).sum(1)
            among = self._among(own, batch.scored_N)
            negative_PN = negative_PN.scatter_add(1, among.places_PS, among.scores_PS.to(negative_PN.dtype))
        negative_PN = negative_PN.masked_fill(batch.scored_N == targets_P.unsqueeze(1), -torch.inf)
        sampling_rate = len(batch.scored_N) / len(self.data.id_rows)
        return generalised_bce(positive_P, negative_PN, sampling_rate=sampling_rate, calibration=self.calibration)

    def _added(self, batch: Batch) -> Added | None:
        """What windows add to the scores of their own items; nothing to those that are no candidates in this step."""
        own = self._window_scores(batch)
        return own if own is None or batch.scored_N is None else self._among(own, batch.scored_N)

    def _window_scores(self, batch: Batch) -> Added | None:
        """What windows add to the scores of their own items, by rows in use."""
        rows_P, positions_P = batch.trained_BL.nonzero(as_tuple=True)
        added_PS = self.model.score_offsets(batch.times_ms_BL[rows_P], positions_P)
        return None if added_PS is None else Added(batch.inputs_BL[rows_P], added_PS)

    @staticmethod
    def _among(own: Added, scored_N: Tensor) -> Added:
        """The same by places among the candidates; 0 for items that are none."""
        places_PS = torch.searchsorted(scored_N, own.places_PS).clamp(max=len(scored_N) - 1)
        return Added(places_PS, torch.where(scored_N[places_PS] == own.places_PS, own.scores_PS, 0.0))

    def _picks(self, real_BL: Tensor) -> Tensor:
        """(B, 2) the last and one random real position of each row."""
        lengths_B = real_BL.sum(1)
        random_B = (self._rand(len(lengths_B)).to(lengths_B.device) * lengths_B).long()
        return torch.stack([lengths_B - 1, random_B], dim=1)

    def _at(self, towers_MBLD: Tensor, picked: Picked) -> Tensor:
        """(M, Q, D) the towers' outputs at the picked positions of all processes."""
        picks_BP = picked.picks_BP[picked.share.windows]
        rows_B1 = torch.arange(len(picks_BP), device=picks_BP.device).unsqueeze(1)
        own_MQD = towers_MBLD[:, rows_B1, picks_BP].flatten(1, 2)
        return self.group.gathered(own_MQD, picked.share, len(picked.picks_BP))

    def _idcl(self, vectors_RC: Tensor, towers_MBLD: Tensor, picked: Picked) -> Tensor:
        queries_QD = self._at(towers_MBLD[:1], picked)[0]
        rows_QD, config = vectors_RC[picked.targets_Q, : self.model.config.width], self.model.config
        temperature = config.losses.temperature
        return id_contrast(queries_QD, rows_QD, picked.targets_Q, temperature=temperature, released=config.released)

    def _pcl(self, real_BL: Tensor, events: TowerInputs, towers_MBLD: Tensor, picked: Picked) -> Tensor:
        losses, released = self.model.config.losses, self.model.config.released
        replaced_BL = self._rand(*real_BL.shape)[picked.share.windows].to(real_BL.device) < losses.pcl_share
        replaced_MBLD = self.model.run(self.model.with_placeholders(events, replaced_BL), events.bias)
        plain_MQD = self._at(towers_MBLD[-len(replaced_MBLD) :], picked)
        replaced_MQD = self._at(replaced_MBLD, picked)
        temperature = losses.pcl_temperature
        return placeholder_contrast(
            plain_MQD, replaced_MQD, picked.targets_Q, temperature=temperature, released=released
        )

    def _imbalance(self, rows_R: Tensor) -> Tensor:
        """How far the weights of modalities are from equal ones, over the items in use."""
        features = self.data.take(rows_R)
        contents = [projection(features[name]) for name, projection in self.model.contents.items()]
        present_RM = torch.stack([features[name].present for name in self.model.contents], dim=1)
        assert self.model.modality_weights is not None
        return imbalance(self.model.modality_weights(contents, present_RM))

    def _cp(self, batch: Batch, vectors_RC: Tensor) -> Tensor:
        """Over the distinct items of the batch that have categories; the categories of the others are unknown."""
        items = batch.inputs_BL[batch.real_BL]
        items = items if self.model.config.released else torch.unique(items)
        categories = self.data.categories[batch.rows_R[items]]
        known = categories.any(1) | self.model.config.released
        if self.model.category_head is None or not known.any():
            return vectors_RC.new_zeros(())
        return category_prediction(self.model.category_head(vectors_RC[items[known]]), categories[known])
