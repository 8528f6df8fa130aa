"""`tidewise evaluate`: files in, a table or JSON out, a second run from the cache."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from core.errors import InvalidInput, InvalidSettings
from model.evaluation import arms, models
from model.evaluation.names import BASELINES, MODELS, PEERS
from model.evaluation.peers.specs import peer_specs
from tidewise.cli import app
from tidewise.commands.evaluation.options import ARMS, MODELS_HELP
from tidewise.evaluation.files import online_baselines
from tidewise.evaluation.product import product_specs

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
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def ndcg(report: dict[str, Any]) -> dict[str, float]:
    return {model["model"]: model["seen"]["keep"]["metrics"]["NDCG@10"]["mean"] for model in report["models"]}


@pytest.mark.parametrize("protocol", ["leave-one-out", "temporal"])
def test_json_has_the_requested_models_and_popularity(evaluate: Callable[..., Result], protocol: str) -> None:
    report = document(evaluate(protocol, *FEW, "--json"))
    assert list(ndcg(report)) == ["co-occurrence", "item-knn", "popularity"]
    assert report["rules"]["protocol"] == protocol
    assert report["data"]["events"] == 180
    assert report["bad_lines"] == 1
    assert ndcg(report)["co-occurrence"] > ndcg(report)["popularity"]


def test_without_json_a_table_is_printed(evaluate: Callable[..., Result]) -> None:
    shown = evaluate("leave-one-out", *FEW).stdout
    assert "30 test events of 30 users, 12 items ranked" in " ".join(shown.split())
    for words in ("co-occurrence", "NDCG@10 - popularity", "coverage@10", "MRR@20", "known users (30)"):
        assert words in shown


def test_a_second_run_reads_the_cache(evaluate: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    first = document(evaluate("leave-one-out", *FEW, "--json"))
    monkeypatch.setattr("model.evaluation.harness.rank", None)  # nothing may be ranked again
    assert document(evaluate("leave-one-out", *FEW, "--json")) == first


def test_networks_read_the_texts_of_the_items_file(evaluate: Callable[..., Result], items: Path) -> None:
    names = ("--model", "sasrec-text", "--model", "hm4sr", "--against", "sasrec-text")
    columns = ("--item-columns", "item_id=id,title=name,categories=kinds", "--separator", " ")
    sizes = ("--epochs", "2", "--width", "16", "--window", "10", "--seeds", "2")
    report = document(evaluate("temporal", *names, *sizes, "--items", str(items), *columns, "--json"))
    hm4sr = next(model for model in report["models"] if model["model"] == "hm4sr")
    assert len(hm4sr["seen"]["keep"]["metrics"]["HR@5"]["seeds"]) == 2
    assert set(hm4sr["seen"]["hide"]["difference"]) == {"HR@10", "NDCG@10", "MRR@10"}
    assert report["against"] == "sasrec-text"


@pytest.mark.parametrize(
    ("protocol", "option"), [("leave-one-out", "--cut"), ("temporal", "--periods"), ("prequential", "--trials")]
)
def test_an_option_of_another_protocol_is_an_error(evaluate: Callable[..., Result], protocol: str, option: str) -> None:
    result = evaluate(protocol, option, "1")
    assert result.exit_code == 2
    assert f"No such option: {option}" in result.output


def test_a_cut_may_be_a_date(evaluate: Callable[..., Result]) -> None:
    report = document(evaluate("temporal", *FEW, "--cut", "2011-03-13T10:46:40", "--json"))
    assert report["rules"]["cut_ms"] == (T0_S + 13_200) * 1000


def test_the_same_events_in_other_formats_give_the_same_report(
    evaluate: Callable[..., Result], log: Path, tmp_path: Path
) -> None:
    lines = [line.split("\t") for line in gzip.decompress(log.read_bytes()).decode().splitlines()[1:-1]]
    moments = [datetime.fromtimestamp(int(time), UTC).astimezone(ZoneInfo("Europe/Berlin")) for _, _, time in lines]
    rows = [
        f"{user}; {item};{moment:%Y-%m-%d %H:%M:%S}" for (user, item, _), moment in zip(lines, moments, strict=True)
    ]
    half = len(rows) // 2
    for name, part in (("a.csv", rows[:half]), ("b.csv", rows[half:])):
        (tmp_path / name).write_text("\n".join(["who;what;when", *part]), encoding="utf-16")
    log.write_text("who\twhat\twhen\n")
    files = ("--events", str(tmp_path / "a.csv"), "--events", str(tmp_path / "b.csv"), "--time-zone", "Europe/Berlin")
    first = document(evaluate("leave-one-out", *FEW, "--json", *files))
    log.write_bytes(gzip.compress("\n".join(["who\twhat\twhen", *("\t".join(line) for line in lines)]).encode()))
    second = document(evaluate("leave-one-out", *FEW, "--json"))
    assert first["data"] == second["data"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "magic"), "--model: unknown model 'magic'; known are popularity"),
        (("--cut", "yesterday"), "--cut: wanted a share as 0.8 or a date as 2014-03-01, got 'yesterday'"),
        (("--columns", "who,what,kind"), "has no column 'kind'.*; name it: --columns USER,ITEM,TIME"),
        (("--columns", "who,when,what"), "rows are bad; line 2: time: wanted a number"),
        (("--events", "nowhere.csv"), "nowhere.csv: cannot be read"),
    ],
)
def test_unusable_input_is_an_error(evaluate: Callable[..., Result], options: tuple[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        evaluate("temporal", *FEW, *options)


def test_item_vectors_become_a_modality_with_an_ablation(
    evaluate: Callable[..., Result], items: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "looks.npy", np.eye(12, 4, dtype=np.float32))
    (tmp_path / "looks.ids").write_text("".join(f"item{n}\n" for n in range(11)) + "unknown\n")
    models = ("--model", "hm4sr", "--model", "hm4sr:no-image")
    short = ("--epochs", "1", "--width", "16", "--items", str(items), "--item-columns", "item_id=id,title=name")
    report = document(
        evaluate("leave-one-out", *models, *short, "--features", f"{tmp_path / 'looks.npy'}:image", "--json")
    )
    assert [content["name"] for content in report["contents"]] == ["text", "image"]
    whole, without, _ = (model["seeds"]["0"].get("parameters") for model in report["models"])
    assert whole > without


def test_vectors_of_unknown_items_are_an_error(evaluate: Callable[..., Result], items: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "looks.npy", np.eye(2, 4, dtype=np.float32))
    (tmp_path / "looks.ids").write_text("other-1\nother-2\n")
    with pytest.raises(InvalidInput, match="looks: wanted vectors of at least two different items of the catalogue"):
        evaluate("leave-one-out", *FEW, "--features", str(tmp_path / "looks.npy"))


@pytest.mark.parametrize(
    ("device", "message"),
    [("cuda", "--device: wanted a machine with a GPU, found 0"), ("gpu", "--device: wanted one of auto, cpu, cuda")],
)
def test_a_device_that_there_is_not_is_refused_before_reading(
    evaluate: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, device: str, message: str
) -> None:
    monkeypatch.setattr("model.training.process_group.num_gpus", lambda: 0)
    monkeypatch.setattr("tidewise.evaluation.files.EvaluationFiles.dataset", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(InvalidSettings, match=message):
        evaluate("temporal", "--model", "sasrec", "--device", device)


def test_a_cut_after_all_events_is_told_as_a_date(evaluate: Callable[..., Result]) -> None:
    with pytest.raises(InvalidInput, match="got none at or after 2030-01-01 00:00:00 UTC; choose another --cut"):
        evaluate("temporal", *FEW, "--cut", "2030-01-01")


def test_the_help_and_an_error_list_the_same_models(evaluate: Callable[..., Result]) -> None:
    assert tuple(models.BASELINES) == BASELINES
    assert {*PEERS} == peer_specs().keys()
    assert {*product_specs(), *online_baselines()} <= {*MODELS}
    listed = ", ".join(MODELS)
    assert listed in MODELS_HELP
    with pytest.raises(InvalidInput, match=re.escape(f"known are {listed}, with the ablations")):
        evaluate("temporal", "--model", "nonsense")


def test_the_help_of_prequential_lists_every_arm() -> None:
    assert {*ARMS.partition(" (")[0].split(", ")} == {*arms.ARMS}


def test_a_chart_in_a_missing_folder_is_refused_before_reading(evaluate: Callable[..., Result]) -> None:
    with pytest.raises(InvalidInput, match=r"chart\.svg: cannot be written \(no such folder\)"):
        evaluate("prequential", "--model", "popularity", "--chart", "nodir/chart.svg")
