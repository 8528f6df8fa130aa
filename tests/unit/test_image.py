"""The Dockerfile: its files exist, its packages are pinned by version and hash, as the project requires them."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import lock
import pytest
from image_test import Step, read_steps

ROOT = Path(__file__).parents[2]
STEPS = read_steps((ROOT / "Dockerfile").read_text("utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
REQUIREMENTS = (ROOT / "deploy" / "requirements.txt").read_text("utf-8")
INSTALLER = (ROOT / "deploy" / "uv.txt").read_text("utf-8")
PINNED = re.compile(r"^([\w.-]+==\S+(?: ; [^\\\n]+?)?)(?: \\)?$", re.M)
COPIED = [
    source
    for step in STEPS
    if step.instruction == "COPY" and not step.text.startswith("--from")
    for source in step.text.split()[:-1]
]


def pinned(text: str) -> set[str]:
    """The packages of a file of requirements, with versions and markers."""
    return set(PINNED.findall(text))


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=;! ]", requirement)[0].lower()


def test_continued_lines_are_one_step() -> None:
    text = "FROM a AS b\n# why\nRUN one \\\n && two \\\n      three\n\nUSER 1\n"
    assert read_steps(text) == [Step("FROM", "a AS b"), Step("RUN", "one && two three"), Step("USER", "1")]


@pytest.mark.parametrize("source", COPIED)
def test_what_is_copied_is_tracked_and_part_of_the_build_context(source: str) -> None:
    assert subprocess.run(["git", "ls-files", source], cwd=ROOT, capture_output=True, check=True).stdout
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert f"!{source}" in lines or source.split("/")[0] not in {line.split("/")[0] for line in lines}


def test_every_package_of_the_project_is_copied() -> None:
    included = PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {name.rstrip("*") for name in included} <= set(COPIED)


def test_the_secrets_are_not_part_of_the_build_context() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert [line for line in lines if "deploy" in line] == [
        "deploy/*",
        "!deploy/requirements.txt",
        "!deploy/uv.txt",
    ]


def test_the_base_image_has_an_exact_version() -> None:
    [image] = [step.text for step in STEPS if step.instruction == "ARG" and step.text.startswith("PYTHON=")]
    assert re.fullmatch(r"PYTHON=python:\d+\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", image)
    assert all(step.text.startswith("$PYTHON") for step in STEPS if step.instruction == "FROM")


def test_the_image_has_the_extras_that_its_processes_need() -> None:
    assert set(lock.EXTRAS) == {"kafka", "postgres", "drift", "oidc"}  # worker, database, monitor, sign-in


def test_every_dependency_of_the_image_is_pinned() -> None:
    extras = [
        requirement for extra in lock.EXTRAS for requirement in PROJECT["project"]["optional-dependencies"][extra]
    ]
    required = {name_of(requirement) for requirement in [*PROJECT["project"]["dependencies"], *extras]}
    assert required - {name_of(package) for package in pinned(REQUIREMENTS)} == {"torch"}


def test_the_image_has_the_versions_of_the_constraints() -> None:
    constraints = {package.split(" ;")[0] for package in pinned((ROOT / "constraints.txt").read_text("utf-8"))}
    assert {package.split(" ;")[0] for package in pinned(REQUIREMENTS)} <= constraints
    assert pinned(INSTALLER) <= constraints


@pytest.mark.parametrize("text", [REQUIREMENTS, INSTALLER])
def test_every_pinned_package_has_hashes_and_no_address(text: str) -> None:
    packages = [part for part in re.split(r"^(?=[^\s#])", text, flags=re.M) if not part.startswith("#")]
    assert len(packages) == len(pinned(text)) > 0
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", package) for package in packages)
    assert "://" not in text


def test_nothing_is_installed_without_hashes_but_torch_and_the_project() -> None:
    installs = [
        part for step in STEPS if step.instruction == "RUN" for part in step.text.split("&&") if "pip install" in part
    ]
    assert all("--no-deps" in install for install in installs)
    torch, project = [install.split() for install in installs if "--require-hashes" not in install.split()]
    assert torch[-3:] == [
        "${TORCH_SHA256:+--require-hashes}",
        "--requirement",
        "torch.txt",
    ]  # with a hash if it is given
    assert project[-1] == "."
