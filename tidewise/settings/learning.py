"""The settings of the model and of its training."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from core.experiments.experiment import METRICS, Metric
from tidewise.settings.section import Amount, Count, Section, split_names

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ModelSettings(Section):
    """The encoder's architecture; a change takes effect with the next training."""

    width: Count = 64
    """The width of each modality's vectors."""
    layers: Count = 2
    """The transformer layers of each modality's tower."""
    heads: Count = 2
    """The attention heads of each layer; must divide `model.width`."""
    dropout: float | None = Field(None, ge=0, lt=1)
    """The dropout probability in training; unset: 0.3 with fused ids, else 0.2."""
    experts: Count = 4
    """The experts of the Interactive and of the Temporal mixture of experts."""
    text_dim: Count = 128
    """The dimensions of an item's text vector (TF-IDF, reduced)."""
    content_dim: Count = 128
    """The dimensions of each vector of `tidewise features` (pictures and others, reduced)."""
    exclude_modalities: str = ""
    """Modalities to exclude, comma-separated: `id`, `text`, `image`, or a name given to `tidewise features`."""
    interactive_moe: bool = True
    """Whether each modality sees the others through the Interactive mixture of experts."""
    temporal_moe: bool = True
    """Whether time modulates the representation of an event, through the Temporal mixture of experts."""
    time_gaps: bool = True
    """Whether the Temporal mixture reads the time since the previous event."""
    absolute_time: bool = True
    """Whether the Temporal mixture reads the absolute time of an event."""
    now_gap: bool = False
    """Whether the query depends on the time since the user's last event (not in the paper)."""
    relative_attention: bool = True
    """Whether attention depends on the steps and on the time between two events (not in the paper)."""
    sparse_experts: int = Field(0, ge=0)
    """Experts beside the feed-forward part of each layer, of which an event uses two (not in the paper); 0: none."""
    content_experts: int = Field(0, ge=0)
    """Experts that project each content, of which an item uses two, with weights of contents (not in the paper); 0: one
    linear map."""
    facet_experts: int = Field(0, ge=0)
    """Queries of each head of the last layer, whose heads are facets of an item (not in the paper); 0: no facets."""
    fused_id: bool | None = None
    """Whether the id tower also reads an item's contents (not in the paper); unset: where items have fewer than
    50 events on average."""
    repeat_consumption: bool = True
    """Whether the score of a user's earlier items depends on the time since they were used (not in the paper); only
    where they may be recommended again (`recommend.exclude_seen` off)."""
    idcl_weight: Weight = 0.1
    """The weight of the IDCL loss: pulls the id tower's representation of a history to the next item's id; 0: off."""
    cp_weight: Weight = 0.0
    """The weight of the CP loss: predicts an item's categories from its vector; 0: off."""
    pcl_weight: Weight = 0.0
    """The weight of the PCL loss: pulls a history with masked items to the complete one; 0: off."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            msg = f"wanted model.heads to divide model.width, got width {self.width} and heads {self.heads}"
            raise ValueError(msg)
        return self

    def excluded(self) -> tuple[str, ...]:
        """The modalities to exclude."""
        return split_names(self.exclude_modalities)


class TrainSettings(Section):
    """Training."""

    min_events: Count = 1000
    """The number of events from which `tidewise up` trains the first model."""
    epochs: Count = 20
    """The maximum number of epochs; early stopping may end a training before."""
    max_minutes: Amount = 10.0
    """The maximum duration of a training in minutes."""
    batch_events: Count = 2048
    """The number of events in a training step."""
    learning_rate: Amount = 2e-3
    """The peak learning rate."""
    loss: Literal["softmax", "mixed", "gbce"] = "softmax"
    """The next-item loss, of fine-tunes too: `softmax` over all items (above 50,000 as `mixed`), `mixed` over a step's
    targets and sampled items, or `gbce` (gSASRec) over sampled negatives."""
    num_negatives: Count = 8192
    """The sampled negatives of a step; only `mixed` and `gbce` sample (gSASRec's authors use 256)."""
    gbce_calibration: float = Field(0.75, ge=0, le=1)
    """The calibration t of `gbce`: 0 is plain binary cross-entropy, 1 corrects its overconfidence completely."""
    recency_half_life: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Each such share of newer events halves an event's probability to be a target in an epoch; 0: all events are
    targets in each epoch."""
    seed: int = Field(0, ge=0)
    """The random seed of training."""
    threads: int = Field(0, ge=0)
    """The CPU threads of training; 0: all cores but one."""
    processes: Count = 1
    """The processes of a full training; they divide each batch and `train.threads`."""
    device: Literal["cpu", "cuda"] = "cpu"
    """The device of a full training; `cuda`: each process takes a GPU."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """The precision of training; auto: bfloat16 where that is fast (a GPU, a CPU with AMX), else float32."""


class LearnSettings(Section):
    """Continuous learning: fine-tuning, the gate, promotion."""

    mode: Literal["auto", "propose", "experiment", "off"] = "auto"
    """`auto`: the gate promotes; `propose`: the gate judges, an operator promotes; `experiment`: the gate's winner is
    promoted by an experiment; `off`: no automatic training."""
    experiment_metric: Metric = METRICS[0]
    """With `learn.mode = "experiment"`: the metric that decides."""
    experiment_share: float = Field(0.5, ge=0.01, le=0.99)
    """With `learn.mode = "experiment"`: the share of users whom the challenger answers."""
    experiment_days: Amount = 14.0
    """With `learn.mode = "experiment"`: the days after which a challenger without a decision is refused."""
    experiment_margin: float = Field(0.02, ge=0, lt=1)
    """With `learn.mode = "experiment"`: the tolerated loss, as a share of the champion's metric; 0: only a win
    promotes."""
    every_events: Count = 10_000
    """The number of new events that triggers a fine-tune."""
    every_minutes: Amount = 60.0
    """The minutes after which a fine-tune is triggered, with at least `learn.min_new_events` new events."""
    min_new_events: Count = 1000
    """The minimum number of new events of a fine-tune that is triggered by time or by drift."""
    on_drift: bool = True
    """Whether a drift alarm triggers a fine-tune, with at least `learn.min_new_events` new events."""
    drift_cooldown_minutes: float = Field(15.0, ge=0, allow_inf_nan=False)
    """The minimum number of minutes between the last training and one triggered by drift."""
    epochs: Count = 2
    """The epochs of a fine-tune over the new events."""
    learning_rate: Amount = 2e-3
    """The peak learning rate of a fine-tune."""
    batch_events: Count = 1024
    """The number of events in a step of a fine-tune."""
    replay_ratio: float = Field(1.0, ge=0, allow_inf_nan=False)
    """The number of old events replayed for each new event, in randomly sampled windows."""
    num_negatives: Count = 2_048
    """The number of sampled negatives in a step of a fine-tune; all items where there are fewer."""
    rank: int = Field(0, ge=0)
    """The rank of the updates that a fine-tune adds to each weight matrix; 0: all weights learn freely."""
    anchor: float = Field(1.0, ge=0, allow_inf_nan=False)
    """How strongly low-rank updates are held near 0: the weight of their mean square in the loss."""
    max_minutes: Amount = 10.0
    """The maximum duration of a fine-tune in minutes."""
    max_events: Count = 2_000_000
    """The maximum number of newest events that a trainer reads, at some 100 bytes of memory each."""
    threads: Count = 1
    """The CPU threads of continuous learning."""
    lease_s: Amount = 30.0
    """The lease of the active trainer in seconds: the time until another takes over after a crash."""
    holdout_fraction: float = Field(0.2, gt=0, le=0.5)
    """The fraction of the new events that is held out from training, for the gate."""
    max_holdout_events: Count = 5_000
    """The maximum number of held-out events."""
    noninferiority_margin: float = Field(0.02, ge=0, lt=1)
    """How much lower than the champion's a challenger's NDCG@10 may be, as a fraction of it."""
    lookback_promotions: Count = 5
    """A challenger is also compared with the champion of this many promotions ago."""
    keep_versions: Count = 5
    """The number of old versions whose files are kept for a rollback; records are kept for ever."""
