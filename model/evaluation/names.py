"""The names of the models that can be compared, for the help and for messages; imports no model."""

from __future__ import annotations

BASELINES = (
    "popularity",
    "co-occurrence",
    "item-knn",
    "vsknn",
    "ease",
    "sasrec",
    "sasrec-text",
    "sasrec-text-repeats",
    "gru4rec",
    "gru4rec-text",
)
OWN = ("counts", "hm4sr", "hm4sr:ABLATION+...", "blend", "blend:NETWORK", "product", "product:encoder")
PEERS = (
    "rectools:sasrec",
    "rectools:sasrec-sampled",
    "rectools:ligr",
    "rectools:bert4rec",
    "implicit:als",
    "implicit:bpr",
)
MODELS = (*BASELINES, *OWN, "river-mf", *PEERS)  # all that `tidewise evaluate --model` takes
DEFAULT_MODELS = ("popularity", "co-occurrence", "item-knn", "vsknn", "sasrec", "sasrec-text", "hm4sr")
