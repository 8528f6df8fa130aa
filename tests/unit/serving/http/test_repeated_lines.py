"""Log lines that a client without a key may cause: few, whatever it sends, and none is forgotten."""

from __future__ import annotations

import logging

import pytest

from serving.http.repeated_lines import KINDS, NUM_LINES, PERIOD_S, RepeatedLines, limited_lines


class LimitedLog:
    """A logger with a limit, and its clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.logger = logging.Logger("limited")
        self.logger.parent = logging.getLogger()
        self.limit = RepeatedLines(self.logger, now_s=lambda: self.now_s)
        self.logger.addFilter(self.limit)


@pytest.fixture
def log() -> LimitedLog:
    return LimitedLog()


def test_lines_of_a_kind_are_logged_up_to_a_number(log: LimitedLog, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(1_000):
        log.logger.warning("request %d is malformed", number)
        log.limit.summarise()
    assert caplog.messages == [f"request {number} is malformed" for number in range(NUM_LINES)]


def test_how_many_lines_were_left_out_is_logged(log: LimitedLog, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(NUM_LINES + 7):
        log.logger.warning("request %d is malformed", number)
    log.now_s = PERIOD_S
    log.limit.summarise()
    log.limit.summarise()
    summary = "7 more lines like this one in 60 s were left out: request %d is malformed"
    assert caplog.messages[NUM_LINES:] == [summary]
    assert caplog.records[-1].levelname == "WARNING"


def test_after_a_period_lines_are_logged_again(log: LimitedLog, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        for _ in range(NUM_LINES):
            log.logger.warning("malformed")
        log.now_s += PERIOD_S
    assert caplog.messages == ["malformed"] * (2 * NUM_LINES)


def test_many_lines_of_one_kind_hide_none_of_another(log: LimitedLog, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(100):
        log.logger.warning("malformed")
    log.logger.error("the provider does not answer")
    assert caplog.messages[-1] == "the provider does not answer"


def test_kinds_without_end_are_one_kind(log: LimitedLog, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(10 * KINDS):
        log.logger.warning(f"request {number} is malformed")
    assert len(caplog.messages) == KINDS + NUM_LINES


def test_loggers_are_limited_while_the_server_runs(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("a logger of the tests")
    with limited_lines(logger.name) as sum_up:
        for _ in range(2 * NUM_LINES):
            logger.warning("malformed")
        sum_up()
    logger.warning("malformed")
    assert len(caplog.messages) == NUM_LINES + 1
