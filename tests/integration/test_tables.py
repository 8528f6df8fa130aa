"""The tables of the experiments: each is a command that `tidewise evaluate` takes, made from its name alone."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import typer.main
from typer import Context
from typer.testing import CliRunner

from benchmarks.tables import __main__ as tables
from benchmarks.tables.datasets import TOYS
from model.evaluation.models import spec_of
from model.evaluation.peers.specs import peer_specs
from tidewise.cli import app
from tidewise.evaluation.files import online_baselines
from tidewise.evaluation.prequential import arms_of
from tidewise.evaluation.product import product_specs


def parse(words: list[str]) -> Context:
    """The context of `tidewise evaluate PROTOCOL`; an unknown option is an error."""
    group, protocol, *options = words
    command = typer.main.get_command(app).commands[group].commands[protocol]  # type: ignore[attr-defined]
    context: Context = command.make_context(protocol, options)
    return context


@pytest.mark.parametrize("name", tables.COMPARISONS)
def test_every_table_is_a_command_that_parses_with_models_that_exist(name: str, tmp_path: Path) -> None:
    table = tables.COMPARISONS[name]
    parse(table.command(tmp_path, tmp_path, 1))
    for model in (*table.models, table.against):
        spec_of(model, {**online_baselines(), **peer_specs(), **product_specs()})
    assert table.against in table.models


@pytest.mark.parametrize("name", tables.CURVES)
def test_every_curve_is_commands_that_parse_one_for_each_number_of_events(name: str, tmp_path: Path) -> None:
    curve = tables.CURVES[name]
    files = [path.name for words in curve.commands(tmp_path, tmp_path, 1) for path in parse(words).params["events"]]
    assert files == [f"{curve.data.folder}-{size}.tsv" for size in curve.sizes]


def test_each_table_has_a_time_budget_and_needed_pictures() -> None:
    for table in tables.COMPARISONS.values():
        assert table.max_minutes > 0
        assert ("hm4sr:no-image" in table.models) <= table.with_pictures


@pytest.mark.parametrize("name", tables.REPLAYS)
def test_every_replay_is_commands_that_parse_with_arms_that_exist(name: str, tmp_path: Path) -> None:
    all_arms: set[str] = set()
    for words in tables.REPLAYS[name].commands(tmp_path, tmp_path, 1):
        context = parse(words)
        arms, against = arms_of(context.params["model"], context.params["against"])
        all_arms |= {*arms, against}
        assert context.params["hides_seen"] == (context.params["seen"] == "hide"), "trained for what is asked"
    assert all_arms >= {"frozen", "fine-tune", "fine-tune+replay", "retrain"}


@pytest.fixture
def toys(tmp_path: Path) -> Path:
    """A small log in the layout of amazon2014-toys."""
    folder = tmp_path / "data" / "amazon2014-toys"
    folder.mkdir(parents=True)
    day = 86_400
    events = [f"u{u}\ti{(u + s) % 15}\t{1_300_000_000 + day * (3 * u + s)}" for u in range(40) for s in range(6)]
    items = [f"i{n}\tred thing {n}\t{n % 3} 7" for n in range(15)]
    for name, lines in (
        ("inter", ["user_id\titem_id\ttimestamp", *events]),
        ("item", ["item_id\ttitle\ts3rec_attribute_ids", *items]),
    ):
        (folder / f"amazon2014-toys.{name}.tsv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    return folder.parent


def test_a_table_is_made_from_its_name_alone(
    toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["toys-now-gap", "--data-dir", str(toys), "--out", str(tmp_path / "out"), "--epochs", "1", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", ["tables", *words])
    assert tables.main() == 0
    report = json.loads((tmp_path / "out" / "toys-now-gap.json").read_text())
    assert [model["model"] for model in report["models"]] == ["hm4sr", "hm4sr:now-gap", "popularity"]
    printed = capsys.readouterr().out
    assert printed.strip() == (tmp_path / "out" / "toys-now-gap.md").read_text().strip()
    assert "| hm4sr:now-gap | 0." in printed
    assert "| NDCG@10 | without gap | drawn before the answer | at the click |" in printed


def in_this_process(words: Sequence[str]) -> str:
    """Run a command without a process of its own, which takes seconds to start."""
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_replay_table_has_seeds_and_full_retraining(
    toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = replace(tables.REPLAYS["prequential-yelp2019"], data=TOYS, periods=2, seeds=2, width=8, window=10)
    monkeypatch.setattr(tables, "TABLES", {"replay": small})
    monkeypatch.setattr(tables, "tidewise", in_this_process)
    words = ["replay", "--data-dir", str(toys), "--out", str(tmp_path / "out"), "--epochs", "1", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", ["tables", *words])
    assert tables.main() == 0
    report = json.loads((tmp_path / "out" / "replay.json").read_text())
    assert report["several_seeds"]["arms"]["fine-tune+replay"]["seeds"] == 2
    assert report["full_retraining"]["arms"]["retrain"]["seeds"] == 1
    printed = capsys.readouterr().out
    assert "| fine-tune+replay | 2 | 0." in printed
    assert "| retrain | 0." in printed
    assert (tmp_path / "out" / "replay-amazon2014-toys.svg").read_text().count("<svg") == 1


def test_a_curve_compares_the_product_with_its_parts_by_number_of_events(toys: Path, tmp_path: Path) -> None:
    small = replace(tables.CURVES["toys-by-events"], sizes=(150, 240), epochs=1)
    reports, table = small.make(in_this_process, toys, tmp_path / "out", 1)
    assert list(reports) == ["150", "240"]
    assert [report["data"]["test_events"] for report in reports.values()] == [31, 49]
    assert "| 150 | 31, " in table
    assert (tmp_path / "out" / "events-amazon2014-toys.svg").read_text().count("<svg") == 1


def test_a_table_that_fails_does_not_stop_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["toys-released", "toys-ties", "--data-dir", str(tmp_path / "absent"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["tables", *words])
    monkeypatch.setattr(tables, "own_command", lambda *words: [sys.executable, "-S", "-c", "raise SystemExit(2)"])
    assert tables.main() == 1
    errors = capsys.readouterr().err
    assert "toys-released: ended with 2" in errors
    assert "toys-ties: ended with 2" in errors
