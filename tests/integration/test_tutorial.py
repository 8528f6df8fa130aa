"""docs/tutorial.md runs from its files to the results of its experiment, and prints what the page says."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pages import BLOCK, page
from services.up_process import UpProcess, up
from typer.testing import CliRunner

from tidewise.cli import app

BLOCKS = BLOCK.findall(page("docs/tutorial.md").text)
PORT = "localhost:8080"


class Reader:
    """Who follows the page in a folder: runs its commands in order, and sees what they print."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._programs = iter([block for language, block in BLOCKS if language == "python"])
        self.address = PORT

    def run(self, line: str) -> str:
        """What a line prints. Python and `tidewise` run in this process: each start costs more than all they do."""
        program, *words = shlex.split(line)
        if program == "python":
            path = self._folder / words[0]
            path.write_text(next(self._programs).replace(PORT, self.address))
            runpy.run_path(str(path))
            return ""
        if program == "tidewise":
            done = CliRunner().invoke(app, words, catch_exceptions=False)
            assert done.exit_code == 0, done.output
            return done.stdout
        command = ["bash", "-c", line.replace(PORT, self.address)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    def outputs(self, blocks: list[tuple[str, str]]) -> None:
        """Run the commands, and compare what a block of output shows with the last command's."""
        printed = ""
        for language, block in blocks:
            if language == "bash":
                *_, printed = map(self.run, block.replace("\\\n", " ").strip().splitlines())
            elif language == "json":
                answer = json.loads(printed)
                shown = {"items": [item["item_id"] for item in answer["items"]], "source": answer["source"]}
                assert shown == json.loads(block)
            elif language == "text":
                assert printed == block


def wait_for_clicks(server: UpProcess, reader: Reader, num_clicks: int) -> None:
    """Until every answer and every click of the visitors is counted."""

    def is_counted() -> bool:
        total: dict[str, Any] = json.loads(reader.run("tidewise outcomes --data shop --json"))["total"]
        return (total["answers"], total["clicks"]) == (500, num_clicks)

    server.until(is_counted)


def test_the_page_runs_and_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    reader = Reader(tmp_path)
    start = BLOCKS.index(("bash", "tidewise up --data shop\n"))
    visit = BLOCKS.index(("bash", "python visitors.py\n"))
    reader.outputs(BLOCKS[:start])
    with up(tmp_path / "shop") as (server, url):
        reader.address = url.removeprefix("http://")
        reader.outputs(BLOCKS[start + 1 : visit + 1])
        [num_clicks] = re.findall(r"visitors clicked (\d+) items", capsys.readouterr().out)
        wait_for_clicks(server, reader, int(num_clicks))
        reader.outputs(BLOCKS[visit + 1 :])
        [experiment] = json.loads(reader.run("tidewise experiments list --data shop --json"))["experiments"]
        assert experiment["state"] == "ended"
