"""The settings of the model and of how it learns."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tidewise.settings.section import Amount, Count, Section, split_names

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ModelSettings(Section):
    """The encoder's shape; it takes effect when a model is trained."""

    width: Count = 64
    """The width of each modality's vectors."""
    layers: Count = 2
    """The transformer layers of each modality's tower."""
    heads: Count = 2
    """The attention heads of each layer; they divide `model.width`."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """The share of activations dropped in training."""
    experts: Count = 4
    """The experts of the Interactive and of the Temporal mixture."""
    text_dim: Count = 128
    """The dimensions of an item's text vector (TF-IDF, reduced)."""
    content_dim: Count = 128
    """The dimensions of each vector that `tidewise features` has made (pictures and others, reduced)."""
    exclude_modalities: str = ""
    """Modalities to leave out, by commas: `id`, `text`, `image`, or a name given to `tidewise features`."""
    interactive_moe: bool = True
    """Whether each modality sees the others through the Interactive mixture of experts."""
    temporal_moe: bool = True
    """Whether time shapes what an event says, through the Temporal mixture of experts."""
    time_gaps: bool = True
    """Whether the Temporal mixture reads the time since the previous event."""
    absolute_time: bool = True
    """Whether the Temporal mixture reads when an event happened."""
    now_gap: bool = False
    """Whether the time since the user's last event shapes each answer (not in the paper)."""
    fused_id: bool = False
    """Whether the id tower reads an item's contents beside its id (not in the paper): for items of few events."""
    repeat_consumption: bool = True
    """Whether users' earlier items gain or lose by how long ago they were, where they may be answered again
    (`recommend.exclude_seen` off; not in the paper)."""
    idcl_weight: Weight = 0.1
    """The weight of the loss IDCL: what the id tower says of a history is near the id of its next item; 0: off."""
    cp_weight: Weight = 0.0
    """The weight of the loss CP: an item's vector tells its categories; 0: off."""
    pcl_weight: Weight = 0.0
    """The weight of the loss PCL: a history with some of its items hidden is near the whole one; 0: off."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            msg = f"wanted model.heads to divide model.width, got width {self.width} and heads {self.heads}"
            raise ValueError(msg)
        return self

    def left_out(self) -> tuple[str, ...]:
        """The modalities to leave out, one by one."""
        return split_names(self.exclude_modalities)


class TrainSettings(Section):
    """Training."""

    min_events: Count = 1000
    """`tidewise up` trains the first model once that many events exist."""
    epochs: Count = 20
    """The most passes over the training events; training stops earlier when it no longer gains."""
    max_minutes: Amount = 30.0
    """The most minutes that a training takes."""
    batch_events: Count = 2048
    """The events in one training step."""
    learning_rate: Amount = 2e-3
    """The highest learning rate."""
    seed: int = Field(0, ge=0)
    """The seed of everything random in training."""
    threads: int = Field(0, ge=0)
    """The CPU threads of training; 0: one less than there are cores, at least one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """What training multiplies; auto: bfloat16 where that is fast (a GPU, a CPU with AMX), else float32."""


class LearnSettings(Section):
    """Learning that goes on by itself: fine-tuning, the gate, promotion."""

    mode: Literal["auto", "propose", "off"] = "auto"
    """`auto`: the gate promotes; `propose`: an operator does, the gate only judges; `off`: nothing trains by itself."""
    every_events: Count = 10_000
    """A fine-tune begins after so many new events."""
    every_minutes: Amount = 60.0
    """A fine-tune begins after so many minutes, if there are at least `learn.min_new_events` new events."""
    min_new_events: Count = 1000
    """See `learn.every_minutes`."""
    on_drift: bool = True
    """Whether an alarm of the drift monitor begins a fine-tune, if there are `learn.min_new_events` new events."""
    drift_cooldown_minutes: float = Field(15.0, ge=0, allow_inf_nan=False)
    """How many minutes after the last training an alarm begins another one at the soonest."""
    epochs: Count = 2
    """The passes of a fine-tune over the new events."""
    learning_rate: Amount = 2e-3
    """The highest learning rate of a fine-tune."""
    batch_events: Count = 1024
    """The events in one step of a fine-tune."""
    replay_ratio: float = Field(1.0, ge=0, allow_inf_nan=False)
    """How many old events are learnt again, in windows drawn at random, for each new one."""
    num_negatives: Count = 2_048
    """A step of a fine-tune ranks its items among so many others drawn at random; if there are fewer, among all."""
    max_minutes: Amount = 10.0
    """The most minutes that a fine-tune takes."""
    max_events: Count = 2_000_000
    """The newest events that a trainer reads: some 100 bytes of memory each; older ones are out of view."""
    threads: Count = 1
    """The CPU threads of a trainer that runs by itself."""
    lease_s: Amount = 30.0
    """After how many seconds another trainer takes over from one that died."""
    holdout_fraction: float = Field(0.2, gt=0, le=0.5)
    """The share of the new events that a training leaves to the gate."""
    max_holdout_events: Count = 5_000
    """The most events that the gate ranks."""
    noninferiority_margin: float = Field(0.02, ge=0, lt=1)
    """The share of the champion's NDCG@10 that a challenger may lose by."""
    lookback_promotions: Count = 5
    """A challenger is also compared with the champion of so many promotions ago."""
    keep_versions: Count = 5
    """How many old versions stay on disk, to go back to; their records stay for ever."""
