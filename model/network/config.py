"""The shape of one HM4SR model, as one frozen record that travels in its checkpoint. Independent of torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from core.errors import InvalidSettings
from core.events.history import WindowShape

YEAR_S = 31_556_952
Gaps = Literal["on", "off", "shuffled"]
DROPOUT, DROPOUT_FUSED = 0.2, 0.3
FEW_EVENTS = 50  # of an item on average: with fewer, ids are fused unless the configuration says otherwise


@dataclass(frozen=True, slots=True)
class Modality:
    """One content modality: its name and how many numbers describe an item in it."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class LossWeights:
    """The auxiliary losses of the paper (section 3.5): a weight of 0 switches one off and saves its cost.

    `balance`: of the modality weights (MAMEX, not in the paper). `temperature` belongs to IDCL; `pcl_temperature`
    and `pcl_share` (of events that become placeholders) to PCL.
    """

    idcl: float = 0.0
    cp: float = 0.0
    pcl: float = 0.0
    temperature: float = 0.2
    pcl_temperature: float = 1.0
    pcl_share: float = 0.3
    balance: float = 0.01


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Everything that decides the shape and the arithmetic of a model; the weights fill it.

    `contents` lists the modalities beside the item id; leaving one out, or `use_id=False`, is the ablation.
    `gaps`: "off" hides the time since the previous event, "shuffled" replaces it by another event's.
    `absolute_time=False` hides when events happened, but for the gaps between them.
    `now_gap`: the gap from the last event to now shapes the query (ours, not in the paper).
    `fused_id`: the id tower reads each item's id row plus its projected contents (ours, not in the paper).
    None leaves it to the events of a training, see `decided`.
    `dropout`: None: .3 with fused ids, else .2.
    `repeats`: earlier events add to the scores of their own items, by how long ago they are (ours, not in the paper).
    `relative_attention`: attention depends on the steps and on the time between two events (HSTU; not in the paper).
    `sparse_experts`: so many small experts beside each feed-forward part, two of them at a time (HyMoERec; not in the
    paper); 0: none.
    `content_experts`: each content is projected by two of so many experts, and contents are weighted for each item
    (MAMEX; not in the paper); 0: by one linear map.
    `facet_experts`: so many queries of each head of the last layer, whose heads are facets of an item (FAME; not in the
    paper); 0: a layer like the others.
    `hides_seen`: it is trained for answers without what the user has had: the items of a window are no candidates after
    it (ours, not in the paper). With either, the Temporal MoE starts near doing nothing.
    `released=True` keeps the arithmetic of the authors' released code, faults included: it serves their weights alone.
    """

    width: int = 64
    num_layers: int = 2
    num_heads: int = 2
    inner_width: int = 256
    dropout: float | None = DROPOUT
    layer_norm_eps: float = 1e-12
    window: WindowShape = field(default_factory=WindowShape)
    use_id: bool = True
    contents: tuple[Modality, ...] = (Modality("text", 128),)
    interactive_moe: bool = True
    temporal_moe: bool = True
    num_interactive_experts: int = 4
    num_temporal_experts: int = 4
    gaps: Gaps = "on"
    absolute_time: bool = True
    gap_scale: float = 20.0
    max_gap_s: float = 10 * YEAR_S
    gap_table_rows: int | None = None
    now_gap: bool = False
    fused_id: bool | None = False
    repeats: bool = False
    relative_attention: bool = False
    sparse_experts: int = 0
    content_experts: int = 0
    facet_experts: int = 0
    hides_seen: bool = False
    id_dropout: float = 0.1
    num_categories: int = 0
    losses: LossWeights = field(default_factory=LossWeights)
    released: bool = False

    def __post_init__(self) -> None:
        checks = {
            "at least one modality (use_id or contents)": bool(self.towers),
            "modalities with unique names": len(set(self.towers)) == len(self.towers),
            "a width that num_heads divides": self.width > 0 and self.width % self.num_heads == 0,
            "at least one layer": self.num_layers > 0,
            "no sparse experts, or at least 2": self.sparse_experts == 0 or self.sparse_experts >= 2,
            "no content experts, or at least 2": self.content_experts == 0 or self.content_experts >= 2,
            "no facet experts, or more": self.facet_experts >= 0,
            "losses of weight 0 or more": min(self.losses.idcl, self.losses.cp, self.losses.pcl) >= 0,
            "0 <= pcl_share <= 1": 0 <= self.losses.pcl_share <= 1,
            "0 <= dropout < 1": self.dropout is None or 0 <= self.dropout < 1,
            "0 <= id_dropout < 1": 0 <= self.id_dropout < 1,
            "gaps to be on, off or shuffled": self.gaps in ("on", "off", "shuffled"),
            "not both repeats and hides_seen": not (self.repeats and self.hides_seen),
            "positive gap_scale and max_gap_s": self.gap_scale > 0 and self.max_gap_s > 0,
        }
        broken = [wanted for wanted, holds in checks.items() if not holds]
        if broken:
            msg = f"model: wanted {'; '.join(broken)}; got {self}"
            raise InvalidSettings(msg)

    @property
    def towers(self) -> tuple[str, ...]:
        """The modalities in the order of their towers; "id", where used, is the first."""
        return ("id",) * self.use_id + tuple(content.name for content in self.contents)

    @property
    def fuses_id(self) -> bool:
        """Whether contents are added to the id rows; it needs both."""
        return bool(self.fused_id) and self.use_id and bool(self.contents)

    def decided(self, *, events_per_item: float) -> ModelConfig:
        """As a training on so many events decides it: items with few borrow from their contents."""
        fused_id = events_per_item < FEW_EVENTS if self.fused_id is None else self.fused_id
        config = replace(self, fused_id=fused_id)
        return replace(config, dropout=config.dropout_rate)

    @property
    def dropout_rate(self) -> float:
        """The dropout probability."""
        if self.dropout is not None:
            return self.dropout
        return DROPOUT_FUSED if self.fuses_id else DROPOUT

    @property
    def weighs_modalities(self) -> bool:
        """Whether contents are weighted for each item; it needs two."""
        return self.content_experts > 0 and len(self.contents) > 1

    @property
    def predicts_categories(self) -> bool:
        """Whether CP is on and there are categories."""
        return self.losses.cp > 0 and self.num_categories > 0

    @property
    def uses_placeholders(self) -> bool:
        """Whether PCL is on; it needs content."""
        return self.losses.pcl > 0 and bool(self.contents)

    @property
    def contrasts_ids(self) -> bool:
        """Whether IDCL is on; it needs the id tower."""
        return self.losses.idcl > 0 and self.use_id

    @property
    def vector_width(self) -> int:
        """D: the width of query and item vectors, all towers concatenated."""
        return self.width * len(self.towers)

    @property
    def num_gap_rows(self) -> int:
        """Rows of the gap table: as given, or one for "no event before" and one for each gap up to `max_gap_s`."""
        return self.gap_table_rows or int(self.gap_scale * math.log2(self.max_gap_s + 1)) + 2

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> ModelConfig:
        """The record back from `to_json`; raises `ValueError` naming unknown fields.

        A field that an older version did not write has its default: defaults of new fields keep the old arithmetic.
        """
        unknown = set(raw) - {entry.name for entry in fields(cls)}
        if unknown:
            msg = f"model config: unknown fields {sorted(unknown)}"
            raise ValueError(msg)
        values = dict(raw)
        values["window"] = WindowShape(**raw["window"])
        values["contents"] = tuple(Modality(**content) for content in raw["contents"])
        values["losses"] = LossWeights(**raw["losses"])
        return cls(**values)
