"""Other libraries' models in a process of their own, and the real ones where `make peers` was run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from core.errors import InvalidInput
from core.evaluation.scorers import Past, TrainingPart
from core.events.history import EMPTY_HISTORY, History, WindowShape
from core.records.stored import EventColumns
from model.evaluation.dataset import Dataset
from model.evaluation.harness import Harness
from model.evaluation.models import Budget
from model.evaluation.networks import Contents
from model.evaluation.peers import process
from model.evaluation.peers.process import CHECKOUT, PeerEnvironment, PeerFailed
from model.evaluation.peers.scorer import PeerScorer
from model.evaluation.peers.specs import peer_spec, peer_specs
from model.evaluation.protocols import leave_one_out
from model.evaluation.results import ResultCache
from model.training.train import TrainingProgress
from tidewise.cli import app

T0 = 1_300_000_000_000
NUM_ITEMS = 30
FAKE = PeerEnvironment(Path(sys.executable), Path(__file__).parent / "fake_peer.py")
REAL = PeerEnvironment()
BUDGET = Budget(epochs=20, max_seconds=60, window=WindowShape(7, 1), hides_seen=True)
with_peers = pytest.mark.skipif(not REAL.python.exists(), reason="the peers' environment is missing: run `make peers`")


def part(*, validation: tuple[int, ...] = (), num_users: int = 3, length: int = 4) -> TrainingPart:
    """User u walks from item u to item u + length - 1; the named events are held out for validation."""
    users = np.repeat(np.arange(num_users), length)
    items = (users + np.tile(np.arange(length), num_users)) % (NUM_ITEMS - 1)  # the last item has no event
    columns = EventColumns(users, items, T0 + np.arange(len(users)))
    held = np.isin(np.arange(len(users)), validation)
    return TrainingPart(columns, np.flatnonzero(~held), np.flatnonzero(held), NUM_ITEMS)


def after(*items: int, user: int = 0) -> Past:
    return (
        Past(user, History(np.array(items, np.int64), T0 + np.arange(len(items)))) if items else Past(0, EMPTY_HISTORY)
    )


def scorer(
    model: str = "fake",
    environment: PeerEnvironment = FAKE,
    *,
    progress: list[TrainingProgress] | None = None,
    **config: object,
) -> PeerScorer:
    shown = [] if progress is None else progress
    config = config or {"step": 1}
    return PeerScorer(model, config, BUDGET, 7, environment=environment, num_threads=1, progress=shown.append)


# --- the exchange, by a process that speaks it


def test_a_peer_gets_the_training_events_and_the_budget() -> None:
    peer = scorer()
    peer.fit(part(validation=(3,)))
    assert peer.report["events"] == [
        [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2],
        [0, 1, 2, 1, 2, 3, 4, 2, 3, 4, 5],
        [T0 + row for row in range(12) if row != 3],
    ]
    assert peer.report["task"] == ["fake", 7, NUM_ITEMS, 20, 60, 7]
    assert peer.report["hides_seen"]
    assert peer.report["threads"] == [1, "1"]


def test_validation_queries_hold_all_events_before_theirs() -> None:
    peer = scorer()
    rows = tuple(4 * user + 3 for user in range(20))
    peer.fit(part(validation=rows, num_users=20))
    assert peer.report["validation"] == [[user, user + 1, user + 2] for user in range(20)]
    assert peer.report["targets"] == [user + 3 for user in range(20)]


def test_too_few_validation_events_are_not_sent() -> None:
    peer = scorer()
    peer.fit(part(validation=(3,)))
    assert peer.report["validation"] == []


def test_scores_are_the_inner_products_of_the_vectors() -> None:
    peer = scorer(step=2)
    peer.fit(part())
    scores = peer.scores([after(0, 1), after(5, 2)])
    assert scores.shape == (2, NUM_ITEMS)
    assert scores.argmax(axis=1).tolist() == [3, 4]


def test_items_without_a_vector_are_below_all_others_and_tied() -> None:
    peer = scorer()
    peer.fit(part())
    scores = peer.scores([after(1)])[0]
    assert sorted(np.flatnonzero(scores == scores.min())) == list(range(6, NUM_ITEMS))
    assert (scores[:6] > scores.min()).all()


def test_a_query_without_an_answer_is_answered_by_popularity() -> None:
    peer = scorer()
    peer.fit(part())
    for past in (after(), after(29)):
        assert peer.scores([past])[0, :6].tolist() == [1, 2, 3, 3, 2, 1]


def test_progress_of_the_peer_is_shown() -> None:
    shown: list[TrainingProgress] = []
    scorer(progress=shown, step=1).fit(part())
    assert [(at.epoch, at.loss, at.metric, at.left_s) for at in shown] == [(1, 0.5, 0.25, 19.0)]


def test_a_peer_that_ends_is_an_error_with_the_end_of_its_log() -> None:
    with pytest.raises(PeerFailed, match=r"ended with code 3: a library prints this \| no step, no walk"):
        scorer(step=0).fit(part())


def test_a_peer_and_its_files_end_with_the_scorer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    peer = scorer()
    peer.fit(part())
    pid = peer.report["pid"]
    assert len(list(tmp_path.iterdir())) == 1
    del peer
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_peer_is_tuned_ranked_and_cached_like_any_model(tmp_path: Path) -> None:
    rows = [(f"user{user}", f"item{(user + step) % 12}", T0 + step) for user in range(40) for step in range(6)]
    dataset = Dataset.of(rows)
    spec = peer_spec("fake", [{"step": 2}, {"step": 1}], FAKE, trained=True)
    harness = Harness(
        dataset,
        leave_one_out(dataset),
        Budget(trials=2),
        Contents.of(dataset.catalogue, text_size=4),
        ResultCache(tmp_path),
    )
    outcome = harness.run(spec)
    assert outcome.config == {"step": 1}
    assert outcome.ranks("keep")[0].above.max() == 0
    broken = PeerEnvironment(tmp_path / "no-python", FAKE.script)
    again = harness.run(peer_spec("fake", [{"step": 2}, {"step": 1}], broken, trained=True))
    assert np.array_equal(again.ranks("keep")[0].above, outcome.ranks("keep")[0].above)


PARENT = """
import sys
from pathlib import Path
from model.evaluation.peers.process import PeerEnvironment, PeerProcess

environment = PeerEnvironment(Path(sys.executable), Path("training.py"))
PeerProcess(environment, Path("log"), num_threads=1).ask({}, lambda progress: print(progress["pid"], flush=True))
"""
TRAINING = """
import json, os, time
from exchange import end_with_parent

end_with_parent()
print(json.dumps({"progress": {"pid": os.getpid()}}))
time.sleep(600)
"""


def test_a_training_ends_with_a_killed_evaluation(tmp_path: Path) -> None:
    shutil.copy(REAL.script.with_name("exchange.py"), tmp_path)
    (tmp_path / "training.py").write_text(TRAINING)
    packages = {"PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=os.environ | packages
    ) as parent:
        assert parent.stdout is not None
        status = Path("/proc") / parent.stdout.readline().strip() / "status"
        try:
            while "sleeping" not in status.read_text():  # it has said its number and does not sleep yet
                time.sleep(0.01)
        finally:
            parent.kill()
    while status.exists() and "zombie" not in status.read_text():
        time.sleep(0.01)


# --- the environment


def test_a_missing_environment_says_make_peers(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"--model rectools:sasrec: wanted .* got no .*python; run `make peers`"):
        PeerEnvironment(tmp_path / "python").require("rectools:sasrec")


def test_the_command_asks_for_the_environment_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process.PeerEnvironment.__init__, "__defaults__", (tmp_path / "python", tmp_path / "run.py"))
    words = ["evaluate", "temporal", "--events", "none.csv", "--columns", "u,i,t", "--model", "implicit:als"]
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, InvalidInput)
    assert "run `make peers`" in str(result.exception)


@with_peers
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("model", peer_specs())
def test_each_peer_learns_to_walk(model: str) -> None:
    config = dict(peer_specs()[model].grid[0])
    config |= {"lr": 0.01, "batch_size": 32, "n_factors": 32} if model.startswith("rectools") else {}
    rows = tuple(12 * user + 11 for user in range(200))
    whole = part(validation=rows, num_users=200, length=12)
    peer = scorer(model, REAL, **config)
    peer.fit(whole)
    pasts = [after(*range(start, start + 6), user=start) for start in range(20)]
    ranks = (-peer.scores(pasts)).argsort(axis=1)[:, :10]
    hits = [start + 6 in ranks[start] for start in range(20)]
    assert np.mean(hits) > 0.7


@with_peers
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_vectors_and_losses_are_those_of_rectools() -> None:
    script = Path(__file__).with_name("rectools_parity.py")
    result = subprocess.run([REAL.python, script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
