"""The README's examples run: the ten lines against a server, the commands for own data on such files."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pages import BLOCK, commands_in, page
from services.up_process import up
from typer.testing import CliRunner

from tidewise.cli import app

README = page("README.md").text
SHELL_BLOCKS = [block for language, block in BLOCK.findall(README) if language == "bash"]
NUM_USERS, NUM_MOVIES, NUM_RATINGS = 30, 60, 600


def block_with(text: str) -> str:
    """The only bash block of the README with this text in it."""
    blocks = [block for block in SHELL_BLOCKS if text in block]
    assert len(blocks) == 1, text
    return blocks[0]


def curl(line: str, *, address: str) -> dict[str, Any]:
    """What a line of the README's gets from a server, through bash as a person would."""
    command = ["bash", "-c", line.replace("localhost:8080", address)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def tidewise(words: list[str]) -> str:
    """What `tidewise WORDS` prints, run in this process: starting one for each takes longer than all they do."""
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def curl_lines() -> list[str]:
    block = block_with("curl -s 'localhost:8080/v1/users/ann")
    return [line for line in block.splitlines() if line.startswith("curl")]


@pytest.fixture
def shop(shop_template: Path, tmp_path: Path) -> Path:
    """A copy of a small shop of the demo's kind."""
    shutil.copytree(shop_template, tmp_path / "data")
    return tmp_path / "data"


def test_the_ten_lines_run_and_answer_as_commented(shop: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    with up(shop) as (_, url):
        answers = [curl(line, address=url.removeprefix("http://")) for line in curl_lines()]
    first, click, again, own, put, tea, gone = answers
    assert (first["source"], first["reason"]) == ("popularity", "the user is unknown")
    assert [click["accepted"], again["accepted"]] == [1, 1]
    assert (own["source"], own["user_seq"]) == ("model", 2)
    assert put["status"] == "accepted"
    assert {"Tea"} == {name for item in tea["items"] for name in item["categories"]}
    assert gone["status"] == "erased"


def write_movielens(folder: Path) -> None:
    """Files with the columns of MovieLens, sorted by user as it is."""
    draw = random.Random(7)
    genres = ("Comedy", "Drama", "Film-Noir|Crime", "(no genres listed)")
    movies = [f'{key},"Film {key}, The (1999)",{draw.choice(genres)}' for key in range(1, NUM_MOVIES + 1)]
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *movies]) + "\n")
    ratings = sorted(
        (draw.randrange(NUM_USERS) + 1, draw.randrange(NUM_MOVIES) + 1, draw.randrange(10**9, 10**9 + 10**7))
        for _ in range(NUM_RATINGS)
    )
    rows = [f"{user},{movie},{draw.choice(('0.5', '4.0'))},{time}" for user, movie, time in ratings]
    (folder / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *rows]) + "\n")


def test_the_lines_for_own_data_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_movielens(tmp_path)
    monkeypatch.chdir(tmp_path)
    load, train, recommend, _up = [words[1:] for words in commands_in(block_with("--data movies"))]

    loaded = tidewise(load)
    assert re.search(rf"items: {NUM_MOVIES} rows .* {NUM_MOVIES} new, .* 0 bad", loaded), loaded
    assert re.search(rf"events: {NUM_RATINGS} rows .* {NUM_RATINGS} new, .* 0 bad", loaded), loaded
    tidewise([*train, "--force", "--set", "train.epochs=1", "--set", "model.width=16"])
    answer = json.loads(tidewise([*recommend, "--json"]))
    assert (answer["source"], answer["reason"]) == ("model", "ranked by the user's history")
    assert answer["items"][0]["title"].startswith("Film")


def test_the_lines_for_a_replay_run_on_stream_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(3)
    (tmp_path / "items.csv").write_text("item_id,title\n" + "".join(f"i{key},Thing {key}\n" for key in range(20)))
    times = sorted(draw.randrange(1_600_000_000 - 10**6, 1_600_000_000 + 10**5) for _ in range(300))
    rows = [f"u{draw.randrange(20)},i{draw.randrange(20)},{time}" for time in times]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time", *rows]) + "\n")
    num_later = sum(time >= 1_600_000_000 for time in times)
    monkeypatch.chdir(tmp_path)
    load, _train, _up, replay = [words[1:] for words in commands_in(block_with("--data past"))]

    assert f"{len(times) - num_later} new" in tidewise(load)
    with up(tmp_path / "past", options=["--set", "clock.mode=stream"]) as (_, url):
        report = json.loads(tidewise([*replay, "--json", "--url", url]))
    assert (report["accepted"], report["bad_lines"]) == (num_later, 0)
