"""Topics of a stored catalogue: each item without a category gets one from its text, which never changes.

The first call clusters the texts; a later item joins the topic of the most similar items. Called before each training;
`model.text_topics` does the clustering.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from core.ports.store import Store
from core.topics import NO_TOPIC

logger = logging.getLogger(__name__)


def name_text_topics(store: Store) -> int:
    """Assign topics to items that have none; returns how many were assigned."""
    with store.read() as read:
        catalogue = read.items.catalogue(include_uncatalogued=False)
        rows = [
            row
            for row, names in enumerate(catalogue.categories)
            if not names and catalogue.texts[row] and catalogue.listed[row]
        ]
        texts = {int(catalogue.keys[row]): catalogue.texts[row] for row in rows}
        facts = read.drift.item_facts(sorted(texts))
    known = {key: fact.topic for key, fact in facts.items() if fact.topic != NO_TOPIC}
    missing = {key: text for key, text in texts.items() if key not in known}
    if not missing:
        return 0
    return _join(store, texts, known, missing) if known else _cluster(store, texts)


def _join(store: Store, texts: Mapping[int, str], known: Mapping[int, int], missing: Mapping[int, str]) -> int:
    from model.text_topics import nearest_topics

    nearest = nearest_topics([texts[key] for key in known], list(known.values()), list(missing.values()))
    topics = {key: topic for key, topic in zip(missing, nearest, strict=True) if topic is not None}
    with store.transaction() as tx:
        tx.drift.set_topics(topics)
        tx.commit()
    return len(topics)


def _cluster(store: Store, texts: Mapping[int, str]) -> int:
    from model.text_topics import find_topics

    clusters = find_topics(list(texts.values()))
    if clusters is None:
        return 0
    with store.transaction() as tx:
        codes = tx.drift.name_topics(clusters.names)
        labels = zip(texts, clusters.of_text.tolist(), strict=True)
        topics = {key: codes[clusters.names[label]] for key, label in labels if label >= 0}
        tx.drift.set_topics(topics)
        tx.commit()
    logger.info("%d items without a category now have %d topics: %s", len(topics), len(codes), "; ".join(codes))
    return len(topics)
