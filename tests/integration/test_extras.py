"""An install without extras: the embedded system runs, and the rest says which extra to install."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXTRAS = ("kafka", "faust", "mode", "aiokafka", "cramjam", "psycopg", "authlib", "pytest", "hypothesis")

WITHOUT_EXTRAS = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


SETTINGS = {
    "server.api_key": "a-key-of-an-administrator",
    "oidc.issuer": "https://localhost:9",
    "oidc.client_id": "tidewise",
    "oidc.client_secret": "secret",
    "oidc.public_url": "https://localhost",
    "oidc.admins": "*",
}
SIGN_IN = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
COMMANDS = {
    "the demo": ["demo", "--exit"],
    "worker": ["worker", "--kafka", "localhost:9"],
    "serve before Kafka": ["serve", "--kafka", "localhost:9", "--port", "0"],
    "serve with a sign-in": ["serve", "--port", "0", *SIGN_IN],
    "serve on PostgreSQL": ["serve", "--set", "database.url=postgresql://localhost:9/none", "--port", "0"],
}
# One process for all: it spends seconds on imports, and no command leaves anything behind for the next.
RUN_ALL = f"""
import contextlib, io, json
import tidewise.processes.api, tidewise.training.learning, tidewise.demo.tour, serving.app, serving.http.server
import storage, model.training.train, index.exact, tidewise.processes.kafka
import tidewise.demo.demo
from tidewise.cli import main
tidewise.demo.demo.run_demo = lambda settings, options, *, console: print("it runs")
ends = {{}}
for name, words in {COMMANDS!r}.items():
    sys.argv = ["tidewise", *words, "--data", "data"]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            main()
            status = None
        except SystemExit as end:
            status = end.code
    ends[name] = [status or 0, out.getvalue(), err.getvalue()]
print(json.dumps(ends))
"""


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, str]]:
    """How each command ended where no extra is installed: exit status, output, errors."""
    folder = tmp_path_factory.mktemp("without-extras")
    command = [sys.executable, "-c", WITHOUT_EXTRAS + RUN_ALL]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return {name: tuple(end) for name, end in json.loads(done.stdout).items()}


def test_the_demo_starts_and_the_embedded_system_imports_without_extras(ends: dict[str, tuple[int, str, str]]) -> None:
    assert ends["the demo"][:2] == (0, "it runs\n")


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("worker", "kafka"),
        ("serve before Kafka", "kafka"),
        ("serve with a sign-in", "oidc"),
        ("serve on PostgreSQL", "postgres"),
    ],
)
def test_a_missing_extra_is_an_error_that_says_how_to_install_it(
    ends: dict[str, tuple[int, str, str]], name: str, extra: str
) -> None:
    status, _, errors = ends[name]
    assert status == 2, errors
    assert f"tidewise[{extra}]" in errors.replace("\n", "")
