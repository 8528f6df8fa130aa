"""The thread that sends alarms: it does not hold up the end of a process."""

from __future__ import annotations

import socket
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from core.records.drift import Alarm
from tidewise.bootstrap import open_system
from tidewise.processes.monitor import start_monitor
from tidewise.settings.schema import load_settings


def test_a_process_ends_while_a_receiver_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidewise.webhook.TIMEOUT_S", 3600.0)
    monkeypatch.setattr("tidewise.processes.monitor.PERIOD_S", 0.01)
    with ExitStack() as opened:
        receiver = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        overrides = {
            "data.folder": str(tmp_path),
            "drift.webhook_url": f"http://127.0.0.1:{receiver.getsockname()[1]}/",
            "drift.webhook_secret": "a secret of sixteen",
            "drift.webhook_allow_private": True,
        }
        settings = load_settings(overrides=overrides, environment={})
        system = opened.enter_context(closing(open_system(settings, recommends=True)))
        now_ms = system.clock.now_ms()
        with system.store.transaction() as tx:
            tx.drift.save_alarms([Alarm("loss//1", "loss", "", now_ms, now_ms, 1.0, 2.0, 1.9, 2.1, "a test")])
            tx.commit()
        with ExitStack() as process:
            assert start_monitor(process, system) is not None
            connection, _ = receiver.accept()
            opened.enter_context(connection)
        with system.store.read() as read:
            assert [alarm.num_attempts for alarm in read.drift.alarms()] == [0]
