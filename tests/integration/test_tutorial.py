"""docs/tutorial.md runs from its files to the results of its experiment, and prints what the page says."""

from __future__ import annotations

import gzip
import json
import os
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

SMALL, REAL = page("docs/tutorial.md").text.split("## 7. ")
PROGRAM, FILMS, RETAIL = (BLOCK.findall(part) for part in re.split("^### ", REAL, flags=re.M))
BLOCKS = BLOCK.findall(SMALL)
PORT = "localhost:8080"


class Reader:
    """Who follows the page in a folder: runs its commands in order, and sees what they print."""

    def __init__(self, folder: Path, blocks: list[tuple[str, str]]) -> None:
        self._folder = folder
        self._programs = iter([block for language, block in blocks if language == "python"])
        self.address = PORT

    def run(self, line: str) -> str:
        """What a line prints. Python and `tidewise` run in this process: each start costs more than all they do."""
        program, *words = shlex.split(line)
        if program == "python":
            path = self._folder / words[0]
            path.write_text(next(self._programs).replace(PORT, self.address))
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("sys.argv", words)
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


def wait_for_outcomes(server: UpProcess, reader: Reader, shop: str, *, answers: int, taken: int) -> None:
    """Until every answer and every click or purchase of the visitors is counted."""

    def is_counted() -> bool:
        total: dict[str, Any] = json.loads(reader.run(f"tidewise outcomes --data {shop} --json"))["total"]
        return (total["answers"], total["clicks"] + total["conversions"]) == (answers, taken)

    server.until(is_counted)


def test_the_page_runs_and_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    reader = Reader(tmp_path, BLOCKS)
    start = BLOCKS.index(("bash", "tidewise up --data shop\n"))
    visit = BLOCKS.index(("bash", "python visitors.py\n"))
    reader.outputs(BLOCKS[:start])
    with up(tmp_path / "shop") as (server, url):
        reader.address = url.removeprefix("http://")
        reader.outputs(BLOCKS[start + 1 : visit + 1])
        [num_clicks] = re.findall(r"visitors clicked (\d+) items", capsys.readouterr().out)
        wait_for_outcomes(server, reader, "shop", answers=500, taken=int(num_clicks))
        reader.outputs(BLOCKS[visit + 1 :])
        [experiment] = json.loads(reader.run("tidewise experiments list --data shop --json"))["experiments"]
        assert experiment["state"] == "ended"


LOGS = {"films": ("ml-1m", FILMS), "retail": ("online-retail", RETAIL)}
HEADERS = {
    "ml-1m.inter.tsv.gz": "user_id\tmovie_id\ttimestamp",
    "ml-1m.item.tsv.gz": "movie_id\ttitle\tgenres",
    "online-retail.inter.tsv.gz": "user_id\titem_id\ttimestamp\tquantity\tunit_price",
    "online-retail.item.tsv.gz": "item_id\ttitle",
}


@pytest.mark.parametrize("shop", LOGS)
def test_files_like_the_logs_are_imported_and_split_as_the_page_says(
    shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, blocks = LOGS[shop]
    monkeypatch.chdir(tmp_path)
    for kind, row in (("inter", "u{n}\ti{n}\t97830{n:04}\t2\t1.5"), ("item", "i{n}\tItem {n}\tdrama|war")):
        name = f"{log}.{kind}.tsv.gz"
        header = HEADERS[name]
        lines = [row.format(n=number).split("\t")[: header.count("\t") + 1] for number in range(100, 120)]
        (tmp_path / name).write_bytes(gzip.compress("\n".join([header, *map("\t".join, lines), ""]).encode()))
    start = blocks.index(("bash", f"tidewise up --data {shop} --no-train\n"))
    reader = Reader(tmp_path, [])
    reader.outputs(blocks[:start])
    [experiment] = json.loads(reader.run(f"tidewise experiments list --data {shop} --json"))["experiments"]
    assert experiment["state"] == "running"
    assert json.loads(reader.run(f"tidewise verify --data {shop} --json"))["events"] == 20


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(
    "TIDEWISE_DATA" not in os.environ, reason="TIDEWISE_DATA names no folder with logs; `make tutorial`"
)
@pytest.mark.parametrize("shop", LOGS)
def test_the_logs_give_what_the_page_says(
    shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log, blocks = LOGS[shop]
    monkeypatch.chdir(tmp_path)
    for path in Path(os.environ["TIDEWISE_DATA"]).rglob(f"{log}.*.tsv.gz"):
        (tmp_path / path.name).symlink_to(path)
    reader = Reader(tmp_path, PROGRAM)
    start = blocks.index(("bash", f"tidewise up --data {shop} --no-train\n"))
    visit = blocks[start + 1][1].splitlines()
    reader.outputs(blocks[:start])
    with up(tmp_path / shop) as (server, url):
        reader.address = url.removeprefix("http://")
        reader.run(visit[0])
        [taken] = re.findall(r"visitors took (\d+) items", capsys.readouterr().out)
        wait_for_outcomes(server, reader, shop, answers=1000, taken=int(taken))
        reader.outputs([("bash", "\n".join(visit[1:])), *blocks[start + 2 :]])
