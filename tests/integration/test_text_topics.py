"""Items without a category get topics from their texts, for counts and interests."""

from __future__ import annotations

import random
from pathlib import Path

from core.catalogue.items import Item
from core.events.interactions import Interaction
from core.ingestion.sources import RequestSource
from core.manage import save_items
from tidewise.bootstrap import System, open_system
from tidewise.settings.schema import load_settings
from tidewise.training.text_topics import name_text_topics

NOW_MS = 1_700_000_000_000
KITCHEN, GARDEN = (
    ["wok", "pan", "stock", "ladle", "oven", "steel"],
    ["spade", "rake", "seed", "hose", "watering", "bulb"],
)


def item(name: str, words: list[str], number: int) -> Item:
    return Item(f"{name}-{number}", " ".join(random.Random(number).sample(words, 4)))


def opened(folder: Path) -> System:
    return open_system(load_settings(overrides={"data.folder": str(folder)}, environment={}))


def topics_of(system: System, *item_ids: str) -> list[str | None]:
    with system.store.read() as read:
        keys = [read.items.by_id([item_id])[item_id].key for item_id in item_ids]
        facts, names = read.drift.item_facts(keys), read.drift.topics()
    return [names.get(facts[key].topic) for key in keys]


def test_texts_are_clustered_once_and_new_items_join_a_topic(tmp_path: Path) -> None:
    with opened(tmp_path) as system:
        both = (("kitchen", KITCHEN), ("garden", GARDEN))
        save_items(system.store, [item(name, words, number) for name, words in both for number in range(40)])
        save_items(system.store, [Item("tea-1", "A wok of tea", categories=("Tea",))])
        assert name_text_topics(system.store) == 80
        kitchen, garden, tea = topics_of(system, "kitchen-3", "garden-3", "tea-1")
        assert tea == "Tea"
        assert kitchen != garden
        assert set((kitchen or "").split(", ")) <= set(KITCHEN)
        assert name_text_topics(system.store) == 0
        save_items(system.store, [Item("late", "ladle and oven"), Item("strange", "quux")])
        assert name_text_topics(system.store) == 1
        assert (topics_of(system, "late")[0] or "").split(", ")[0] in KITCHEN
        assert topics_of(system, "strange") == [None]


def test_interests_and_the_mix_use_text_topics(tmp_path: Path) -> None:
    with opened(tmp_path) as system:
        save_items(system.store, [item("kitchen", KITCHEN, number) for number in range(40)])
        save_items(system.store, [item("garden", GARDEN, number) for number in range(40)])
        name_text_topics(system.store)
        system.snapshots.refresh()
        events = [Interaction(f"e{n}", "ann", f"garden-{n}", "view", NOW_MS + n * 60_000) for n in range(6)]
        system.ingestor.ingest(events, RequestSource("test"))
        topics = system.interests.of("ann").interest.topics
        with system.store.read() as read:
            names = read.drift.topics()
            (start_ms, *_) = read.drift.counted_ms(after_ms=0, before_ms=2 * NOW_MS, limit=9)
            counted = read.drift.counts([start_ms])[start_ms].topics
    assert {word for name in topics for word in name.split(", ")} <= set(GARDEN)
    assert {names[code] for code in counted} <= set(topics)
