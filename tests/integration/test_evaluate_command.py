"""`tidewise evaluate` as a user types it: files in, a table or one JSON document out, a second run from the cache."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from core.errors import InvalidInput
from tidewise.cli import app

T0_S = 1_300_000_000
FEW = ("--model", "co-occurrence", "--model", "item-knn")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Users who walk through twelve items, a minute between their events; times in seconds."""
    lines = [
        f"user{user}\titem{(user + step) % 12}\t{T0_S + 1000 * user + 60 * step}"
        for user in range(30)
        for step in range(6)
    ]
    path = tmp_path / "log.tsv.gz"
    path.write_bytes(gzip.compress("\n".join(["who\twhat\twhen", *lines, "ann\t\t1"]).encode()))
    return path


@pytest.fixture
def items(tmp_path: Path) -> Path:
    path = tmp_path / "items.csv"
    path.write_text("id,name,kinds\n" + "\n".join(f"item{n},thing {n % 3} blue,k{n % 2} all" for n in range(12)) + "\n")
    return path


@pytest.fixture
def evaluate(log: Path, tmp_path: Path) -> Callable[..., Result]:
    """Run the command on the log; what goes wrong is raised."""

    def run(protocol: str, *options: str) -> Result:
        files = (
            "--events",
            str(log),
            "--columns",
            "who,what,when",
            "--cache",
            str(tmp_path / "cache"),
            "--threads",
            "1",
        )
        return CliRunner().invoke(app, ["evaluate", protocol, *files, *options], catch_exceptions=False)

    return run


def document(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def ndcg(found: dict[str, Any]) -> dict[str, float]:
    return {model["model"]: model["seen"]["keep"]["metrics"]["NDCG@10"]["mean"] for model in found["models"]}


@pytest.mark.parametrize("protocol", ["leave-one-out", "temporal"])
def test_one_document_for_machines_with_the_models_asked_for_and_popularity(
    evaluate: Callable[..., Result], protocol: str
) -> None:
    found = document(evaluate(protocol, *FEW, "--json"))
    assert list(ndcg(found)) == ["co-occurrence", "item-knn", "popularity"]
    assert found["rules"]["protocol"] == protocol
    assert found["data"]["events"] == 180
    assert found["bad_lines"] == 1
    assert ndcg(found)["co-occurrence"] > ndcg(found)["popularity"]


def test_a_table_for_people(evaluate: Callable[..., Result]) -> None:
    shown = evaluate("leave-one-out", *FEW).stdout
    assert "30 questions about 30 users, 12 items ranked" in " ".join(shown.split())
    for words in ("co-occurrence", "NDCG@10 - popularity", "coverage@10", "MRR@20", "known users (30)"):
        assert words in shown


def test_a_second_run_takes_what_the_first_one_kept(
    evaluate: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = document(evaluate("leave-one-out", *FEW, "--json"))
    monkeypatch.setattr("model.evaluation.harness.rank", None)  # nothing may be ranked again
    assert document(evaluate("leave-one-out", *FEW, "--json")) == first


def test_networks_read_the_texts_of_the_items_file(evaluate: Callable[..., Result], items: Path) -> None:
    names = ("--model", "sasrec-text", "--model", "hm4sr", "--against", "sasrec-text")
    columns = ("--item-columns", "item_id=id,title=name,categories=kinds", "--separator", " ")
    sizes = ("--epochs", "2", "--width", "16", "--window", "10", "--seeds", "2")
    found = document(evaluate("temporal", *names, *sizes, "--items", str(items), *columns, "--json"))
    hm4sr = next(model for model in found["models"] if model["model"] == "hm4sr")
    assert len(hm4sr["seen"]["keep"]["metrics"]["HR@5"]["seeds"]) == 2
    assert set(hm4sr["seen"]["hide"]["difference"]) == {"HR@10", "NDCG@10", "MRR@10"}
    assert found["against"] == "sasrec-text"


@pytest.mark.parametrize(
    ("protocol", "option"), [("leave-one-out", "--cut"), ("temporal", "--periods"), ("prequential", "--trials")]
)
def test_an_option_of_another_protocol_is_an_error(evaluate: Callable[..., Result], protocol: str, option: str) -> None:
    result = evaluate(protocol, option, "1")
    assert result.exit_code == 2
    assert f"No such option: {option}" in result.output


def test_a_cut_may_be_a_date(evaluate: Callable[..., Result]) -> None:
    found = document(evaluate("temporal", *FEW, "--cut", "2011-03-13T10:46:40", "--json"))
    assert found["rules"]["cut_ms"] == (T0_S + 13_200) * 1000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "magic"), "--model: unknown model 'magic'; known are popularity"),
        (("--cut", "yesterday"), "--cut: wanted a share as 0.8 or a date as 2014-03-01, got 'yesterday'"),
        (("--columns", "who,what,kind"), "has no column 'kind'"),
        (("--columns", "who,when,what"), "no number in the column 'what'"),
        (("--events", "nowhere.csv"), "nowhere.csv: cannot be read"),
    ],
)
def test_what_cannot_be_used_is_said(evaluate: Callable[..., Result], options: tuple[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        evaluate("temporal", *FEW, *options)


def test_vectors_of_items_become_a_modality_that_an_ablation_takes_away(
    evaluate: Callable[..., Result], items: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "looks.npy", np.eye(12, 4, dtype=np.float32))
    (tmp_path / "looks.ids").write_text("".join(f"item{n}\n" for n in range(11)) + "unknown\n")
    models = ("--model", "hm4sr", "--model", "hm4sr:no-image")
    short = ("--epochs", "1", "--width", "16", "--items", str(items), "--item-columns", "item_id=id,title=name")
    found = document(
        evaluate("leave-one-out", *models, *short, "--features", f"{tmp_path / 'looks.npy'}:image", "--json")
    )
    assert [content["name"] for content in found["contents"]] == ["text", "image"]
    whole, without, _ = (model["seeds"]["0"].get("parameters") for model in found["models"])
    assert whole > without


def test_vectors_of_other_items_are_refused(evaluate: Callable[..., Result], items: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "looks.npy", np.eye(2, 4, dtype=np.float32))
    (tmp_path / "looks.ids").write_text("other-1\nother-2\n")
    with pytest.raises(InvalidInput, match="looks: wanted vectors of at least two different items of the catalogue"):
        evaluate("leave-one-out", *FEW, "--features", str(tmp_path / "looks.npy"))
