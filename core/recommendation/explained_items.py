"""Explained items: those of an answer, each with the events that contribute most to its score, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from core.arrays import FloatArray, IntArray
from core.catalogue.items import ItemName
from core.events.history import History
from core.recommendation.explain import EventContribution, contributions_of
from core.recommendation.ranking.neighbour_scores import NeighbourScores
from core.recommendation.requests import Contribution, ScoredItem
from core.recommendation.snapshots.current_items import CurrentItems
from core.recommendation.snapshots.snapshot import ServingSnapshot


def explained(
    items: CurrentItems,
    snapshot: ServingSnapshot,
    scored: tuple[ScoredItem, ...],
    history: History,
    hidden: IntArray,
    now_ms: int,
) -> tuple[ScoredItem, ...]:
    """The items, each with the events that contribute most to its score, through the encoder and transition counts.

    `hidden`: keys of the items that the user's events rule out.
    """
    model, counts, catalogue = snapshot.model, snapshot.counts, snapshot.catalogue
    if model is None or not scored or not len(history):
        return tuple(replace(item, contributions=()) for item in scored)
    rows, blend, counted = catalogue.rows_of_ids([item.item_id for item in scored]), model.blend, None
    if blend is not None and counts is not None and snapshot.values is not None:
        gains = snapshot.values.gains

        def counted(past: History) -> FloatArray:
            neighbours = NeighbourScores.of(blend, counts, catalogue, past, hidden, gains)
            return neighbours.added.at(rows)

    weight = 1.0 if blend is None else blend.encoder
    by_item = contributions_of(
        model.encoder, catalogue, history, rows=rows, now_ms=now_ms, weight=weight, counted=counted
    )
    named = items.names(sorted({event.item_key for events in by_item for event in events}))
    return tuple(
        replace(item, contributions=tuple(_contribution(event, named) for event in events if event.item_key in named))
        for item, events in zip(scored, by_item, strict=True)
    )


def _contribution(event: EventContribution, named: Mapping[int, ItemName]) -> Contribution:
    name = named[event.item_key]
    return Contribution(name.item_id, name.title, event.time_ms, event.share)
