"""The log as JSON: one object per line, whatever a message holds."""

from __future__ import annotations

import json
import logging
from io import StringIO

import pytest

from tidewise.logs import JsonFormatter, use_format


def test_a_record_is_one_line_of_json_even_with_newlines_and_a_traceback() -> None:
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.Logger("tidewise.test")
    logger.addHandler(handler)
    try:
        raise ValueError("boom")
    except ValueError:
        logger.exception('user "%s" said\nnothing', "é")
    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)
    assert (told["level"], told["logger"], told["message"]) == ("ERROR", "tidewise.test", 'user "é" said\nnothing')
    assert told["traceback"].endswith("ValueError: boom")
    assert told["time"].endswith("+00:00")


def test_only_who_asks_for_json_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = logging.StreamHandler(StringIO())
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    use_format("text")
    assert handler.formatter is None
    use_format("json")
    assert isinstance(handler.formatter, JsonFormatter)
