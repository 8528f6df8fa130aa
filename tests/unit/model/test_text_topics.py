"""Texts fall into topics by their words, and topics are called by the words that set them apart."""

from __future__ import annotations

import random

import numpy as np

from model.text_topics import find_topics, nearest_topics

SUBJECTS = {
    "kitchen": ["wok", "pan", "stock", "pot", "lid", "ladle", "oven", "steel"],
    "garden": ["spade", "rake", "seed", "tray", "hose", "pot", "watering", "bulb"],
    "music": ["guitar", "string", "bass", "amplifier", "drum", "pick", "keys", "pedal"],
}
FILLER = ["good", "new", "with", "for", "the", "and", "2024", "in"]


def texts(num: int = 90, *, seed: int = 1) -> tuple[list[str], list[str]]:
    chance = random.Random(seed)
    subjects = [list(SUBJECTS)[place % 3] for place in range(num)]
    found = [" ".join([*chance.sample(SUBJECTS[name], 4), *chance.sample(FILLER, 6)]) for name in subjects]
    return found, subjects


def test_texts_about_one_thing_share_a_topic() -> None:
    given, subjects = texts(300)
    found = find_topics(given)
    assert found is not None
    for topic in range(len(found.names)):
        inside = [subject for subject, label in zip(subjects, found.of_text, strict=True) if label == topic]
        assert len(set(inside)) == 1


def test_a_topic_is_called_by_its_own_words_and_no_two_alike() -> None:
    given, subjects = texts(90)
    found = find_topics(given)
    assert found is not None
    assert len(set(found.names)) == len(found.names)
    for name, topic in zip(found.names, range(len(found.names)), strict=True):
        subject = subjects[int(np.flatnonzero(found.of_text == topic)[0])]
        assert set(name.split(", ")) <= set(SUBJECTS[subject])


def test_the_same_texts_have_the_same_topics() -> None:
    given, _ = texts()
    one, other = find_topics(given), find_topics(given)
    assert one is not None
    assert other is not None
    assert one.names == other.names
    assert (one.of_text == other.of_text).all()


def test_few_texts_have_no_topics_and_one_without_words_belongs_to_none() -> None:
    given, _ = texts(40)
    assert find_topics(given) is None
    assert find_topics([]) is None
    many, _ = texts(90)
    found = find_topics([*many, "", "17 x"])
    assert found is not None
    assert found.of_text[-2:].tolist() == [-1, -1]


def test_a_new_text_joins_the_topic_that_it_is_most_like() -> None:
    known, subjects = texts(60)
    codes = {"kitchen": 4, "garden": 7, "music": 2}
    found = nearest_topics(
        known, [codes[name] for name in subjects], ["bass drum", "wok and ladle", "bulb hose", "zzz"]
    )
    assert found == [2, 4, 7, None]
