"""Answers handed to another process: stored once acknowledged, else left to the sender."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import StoreUnavailable
from core.records.outcomes import Answer, Origin
from tidewise.processes.answer_handover import AnswerSender, decoded, encoded, receiving

ONE = Answer("ab" * 16, "ann\n", 7, Origin("home", "", "v1"), ("lamp", "mug"), (1.0, 0.25), is_fallback=False)
TWO = Answer("cd" * 16, None, 8, Origin(), ("pen",))

texts = st.text(max_size=5)
answers = st.builds(
    Answer,
    texts,
    st.none() | texts,
    st.integers(0, 2**40),
    st.builds(Origin, texts, texts, texts),
    st.lists(texts, max_size=3).map(tuple),
    st.none() | st.lists(st.floats(0, 1, allow_nan=False), min_size=1, max_size=3).map(tuple),
    st.none() | st.booleans(),
)


@given(st.lists(answers, max_size=3))
def test_answers_are_the_same_after_the_way(given_answers: list[Answer]) -> None:
    assert decoded(encoded(given_answers)) == given_answers


def test_answers_are_stored_by_the_receiver(tmp_path: Path) -> None:
    stored: list[Answer] = []
    with receiving(tmp_path / "socket", stored.extend):
        first, second = (AnswerSender(tmp_path / "socket") for _ in range(2))
        assert first([ONE])
        assert second([TWO])
        assert first([TWO, ONE])
        first.close()
        second.close()
    assert stored == [ONE, TWO, TWO, ONE]


def test_answers_that_cannot_be_stored_are_left_to_the_sender(tmp_path: Path) -> None:
    outages = [StoreUnavailable("the database is away"), None]

    def store(_: Sequence[Answer]) -> None:
        outage = outages.pop(0)
        if outage is not None:
            raise outage

    with receiving(tmp_path / "socket", store):
        sender = AnswerSender(tmp_path / "socket")
        assert not sender([ONE])
        assert sender([ONE])
        sender.close()


def test_without_a_receiver_answers_are_left_to_the_sender(tmp_path: Path) -> None:
    sender = AnswerSender(tmp_path / "socket")
    assert not sender([ONE])
    stored: list[Answer] = []
    for _ in range(2):  # it ends and is started again
        with receiving(tmp_path / "socket", stored.extend):
            assert sender([ONE])
        assert not sender([TWO])
    assert stored == [ONE, ONE]


def test_a_receiver_that_does_not_answer_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidewise.processes.answer_handover.PATIENCE_S", 0.01)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "socket"))
        silent.listen()
        assert not AnswerSender(tmp_path / "socket")([ONE])


def test_a_batch_that_is_cut_off_is_not_stored(tmp_path: Path) -> None:
    stored: list[Answer] = []
    with receiving(tmp_path / "socket", stored.extend), socket.socket(socket.AF_UNIX) as sender:
        sender.connect(str(tmp_path / "socket"))
        sender.sendall(encoded([ONE])[:-1])
        sender.shutdown(socket.SHUT_WR)
        assert sender.recv(1) == b""
    assert stored == []
