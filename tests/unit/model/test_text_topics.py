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
    subjects = [list(SUBJECTS)[number % 3] for number in range(num)]
    documents = [" ".join([*chance.sample(SUBJECTS[name], 4), *chance.sample(FILLER, 6)]) for name in subjects]
    return documents, subjects


def test_texts_about_one_thing_share_a_topic() -> None:
    documents, subjects = texts(300)
    topics = find_topics(documents)
    assert topics is not None
    for topic in range(len(topics.names)):
        inside = [subject for subject, label in zip(subjects, topics.of_text, strict=True) if label == topic]
        assert len(set(inside)) == 1


def test_a_topic_is_called_by_its_own_words_and_no_two_alike() -> None:
    documents, subjects = texts(90)
    topics = find_topics(documents)
    assert topics is not None
    assert len(set(topics.names)) == len(topics.names)
    for name, topic in zip(topics.names, range(len(topics.names)), strict=True):
        subject = subjects[int(np.flatnonzero(topics.of_text == topic)[0])]
        assert set(name.split(", ")) <= set(SUBJECTS[subject])


def test_stop_words_name_no_topic() -> None:
    documents, subjects = texts(90)
    kitchen = ["and with that" if subject == "kitchen" else "" for subject in subjects]
    topics = find_topics([f"{words} {text}" for words, text in zip(kitchen, documents, strict=True)])
    assert topics is not None
    assert not {"and", "with", "that"} & {word for name in topics.names for word in name.split(", ")}


def test_the_same_texts_have_the_same_topics() -> None:
    documents, _ = texts()
    first, second = find_topics(documents), find_topics(documents)
    assert first is not None
    assert second is not None
    assert first.names == second.names
    assert (first.of_text == second.of_text).all()


def test_few_texts_have_no_topics_and_one_without_words_belongs_to_none() -> None:
    few, _ = texts(40)
    assert find_topics(few) is None
    assert find_topics([]) is None
    many, _ = texts(90)
    topics = find_topics([*many, "", "17 x"])
    assert topics is not None
    assert topics.of_text[-2:].tolist() == [-1, -1]


def test_a_new_text_joins_the_topic_that_it_is_most_like() -> None:
    known, subjects = texts(60)
    codes = {"kitchen": 4, "garden": 7, "music": 2}
    nearest = nearest_topics(
        known, [codes[name] for name in subjects], ["bass drum", "wok and ladle", "bulb hose", "zzz"]
    )
    assert nearest == [2, 4, 7, None]
