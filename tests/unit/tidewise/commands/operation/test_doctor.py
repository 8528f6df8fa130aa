"""`tidewise doctor` on the parts of a distributed system."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from core.errors import StreamUnavailable
from core.ingestion.offsets import PartitionPosition
from tidewise.cli import app


class Health(BaseHTTPRequestHandler):
    """Answers as `/health` does."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "alive", "version": "9.8.7"}')

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def findings(folder: Path, *options: str) -> dict[str, dict[str, Any]]:
    assert CliRunner().invoke(app, ["migrate", "--data", str(folder)]).exit_code == 0
    result = CliRunner().invoke(app, ["doctor", "--data", str(folder), "--json", *options])
    return {finding["part"]: finding for finding in json.loads(result.stdout)}


def test_a_running_server_is_named_with_its_version(tmp_path: Path, url: str) -> None:
    assert findings(tmp_path, "--url", url)["server"]["text"] == f"Tidewise 9.8.7 answers at {url}"


@pytest.mark.parametrize(
    ("position", "problem", "text"),
    [
        (PartitionPosition("interactions", 0, 4, 0, 9), False, "1 partitions of interactions"),
        (PartitionPosition("interactions", 0, 99, 0, 9), True, "interactions/0: "),
    ],
    ids=["in the log", "out of the log"],
)
def test_offsets_out_of_the_log_are_problems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, position: PartitionPosition, problem: bool, text: str
) -> None:
    monkeypatch.setattr("tidewise.commands.operation.doctor.positions_of", lambda *_: {0: position})
    finding = findings(tmp_path, "--kafka", "h:1", "--url", "http://127.0.0.1:9")["Kafka"]
    assert (finding["problem"], finding["text"].startswith(text)) == (problem, True)


def test_an_unreachable_kafka_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StreamUnavailable("Kafka does not answer")

    monkeypatch.setattr("tidewise.commands.operation.doctor.positions_of", fail)
    found = findings(tmp_path, "--kafka", "h:1", "--url", "http://127.0.0.1:9")
    assert (found["Kafka"]["problem"], found["Kafka"]["text"]) == (True, "Kafka does not answer")
    assert found["server"]["command"] == "`tidewise serve`"
