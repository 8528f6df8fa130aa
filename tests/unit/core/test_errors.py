"""Errors: the tree in the docstring is the tree of classes, and what an operator meets says what to do."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

import core.errors
from core.errors import InvalidEvent, InvalidInput, NotFound, StoreError, TidewiseError

CLASSES = [kind for _, kind in inspect.getmembers(core.errors, inspect.isclass)]


def drawn() -> dict[str, str | None]:
    """Each class of the docstring's tree with the class above it."""
    parents: dict[str, str | None] = {}
    above: list[str] = []
    for line in (core.errors.__doc__ or "").splitlines():
        match = re.match(r"((?:\|   |    )*)(?:\|-- |`-- )?([A-Z]\w+)(?:  | \(|$)", line)
        if match:
            depth = len(match[1]) // 4 + (1 if "-- " in line[: match.end(2)] else 0)
            above[depth:] = [match[2]]
            parents[match[2]] = above[depth - 1] if depth else None
    return parents


def test_the_tree_in_the_docstring_is_the_tree_of_classes() -> None:
    actual = {kind.__name__: kind.__bases__[0].__name__ for kind in CLASSES if kind is not TidewiseError}
    assert drawn() == {"TidewiseError": None} | actual


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_says_what_it_means_in_a_sentence(kind: type[Exception]) -> None:
    assert kind.__doc__ is not None
    assert kind.__doc__.split("\n")[0].endswith(".")


def test_bad_input_is_a_value_error_and_a_missing_thing_a_lookup_error() -> None:
    assert issubclass(InvalidInput, ValueError)
    assert issubclass(NotFound, LookupError)
    assert not issubclass(StoreError, ValueError)


def test_invalid_input_carries_its_field_also_between_processes() -> None:
    error = pickle.loads(pickle.dumps(InvalidEvent("time: wanted a number", field="time")))
    assert (type(error), str(error), error.field) == (InvalidEvent, "time: wanted a number", "time")
    assert InvalidInput("no single field is at fault").field is None
