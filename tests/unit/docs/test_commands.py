"""Commands, options, make targets and programs in pages and messages exist."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import click
import pytest
import typer.main
from pages import ROOT, page, pages
from typer.core import TyperGroup

from tidewise.cli import app

PROGRAMS = {
    "tidewise",
    "make",
    "curl",
    "zcat",
    "echo",
    "source",
    "python",
    "cp",
    "sqlite3",
    "docker",
    "export",
    "torchrun",
    "npm",
    "npx",
}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^\.PHONY: (\S+)$", MAKEFILE, re.M))
PACKAGES = ("core", "stream", "model", "index", "storage", "serving", "tidewise", "benchmarks")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
SCRIPTS = sorted((ROOT / "serving" / "pages" / "scripts").rglob("*.js"))
NAMED_IN_SCRIPTS = re.compile(r"[`\"]tidewise((?: (?:--)?[a-zA-Z][a-zA-Z-]*)+)")
NAMED = re.compile(r"`(?:python -m )?tidewise((?: (?:--)?[a-zA-Z][a-zA-Z-]*)+)")


@cache
def command_line() -> TyperGroup:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return group


def find_command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words name, through its groups, and the words after it."""
    command: Any = command_line()
    while isinstance(command, TyperGroup) and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    return command, words


def all_commands(group: TyperGroup) -> dict[str, Any]:
    """Every command of a group and of the groups in it, by its words."""
    commands = dict(group.commands)
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            commands |= {f"{name} {inner}": nested for inner, nested in all_commands(command).items()}
    return commands


def options_of(command: Any) -> set[str]:
    return {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}


def problem_with(words: list[str]) -> str | None:
    """Why `tidewise WORDS` names a command or an option that is not there; words in capitals stand for anything."""
    group = command_line()
    global_options = options_of(group) | {"--help"}
    rest = [word for word in words if word not in global_options]
    if not rest or rest[0].isupper():
        return None
    command = group.commands.get(rest[0])
    if command is None:
        return f"there is no command {rest[0]}"
    if isinstance(command, TyperGroup) and len(rest) > 1 and not rest[1].startswith("--"):
        command = command.commands.get(rest[1])
        if command is None:
            return f"there is no command {rest[0]} {rest[1]}"
        rest = rest[1:]
    inner = all_commands(command).values() if isinstance(command, TyperGroup) else ()
    known = options_of(command).union(*map(options_of, inner))
    unknown = [word for word in rest[1:] if word.startswith("--") and word.partition("=")[0] not in known]
    return f"{rest[0]} has no option {unknown[0]}" if unknown else None


def test_bash_blocks_use_known_programs_only() -> None:
    programs = {(at.name, words[0]) for at in pages() for words in at.commands()}
    assert {(name, program) for name, program in programs if program not in PROGRAMS} == set()


def test_every_tidewise_command_in_a_bash_block_parses() -> None:
    commands = {(at.name, *words) for at in pages() for words in at.commands()}
    for name, program, *words in commands:
        if program == "tidewise":
            command, rest = find_command(words)
            assert not isinstance(command, TyperGroup) or command.invoke_without_command, (name, words)
            try:
                command.make_context(words[0], rest)
            except click.ClickException as error:  # unknown options, missing values, words too many
                pytest.fail(f"{name}: {words}: {error}")


def test_every_tidewise_command_named_in_a_sentence_exists() -> None:
    named = {(at.name, code) for at in pages() for code in at.named_commands("tidewise")}
    assert {(name, problem) for name, code in named if (problem := problem_with(code.split()[1:]))} == set()


def test_every_command_that_a_message_or_a_docstring_names_exists() -> None:
    problems = {
        f"{path.relative_to(ROOT)}: {problem}"
        for path in SOURCES
        for words in NAMED.findall(path.read_text(encoding="utf-8"))
        if (problem := problem_with(words.split()))
    }
    assert problems == set()


def test_every_command_that_the_dashboard_names_exists() -> None:
    named = {(path.name, words) for path in SCRIPTS for words in NAMED_IN_SCRIPTS.findall(path.read_text("utf-8"))}
    assert ("health.js", " keys create NAME") in named
    assert {(name, problem) for name, words in named if (problem := problem_with(words.split()))} == set()


def test_the_readme_has_a_line_for_every_command_and_no_other() -> None:
    rows = re.findall(r"^\| `tidewise (\S+)` \|", page("README.md").text, re.M)
    assert sorted(rows) == sorted(command_line().commands)


def test_every_command_and_every_option_says_what_it_does() -> None:
    silent = [
        f"{name} {parameter.name}"
        for name, command in all_commands(command_line()).items()
        for parameter in command.params
        if not getattr(parameter, "help", None) and parameter.name != "help"
    ]
    assert silent == []
    assert all(command.help for command in all_commands(command_line()).values())


def test_every_make_target_and_variable_that_a_page_names_exists() -> None:
    blocks = {(at.name, word) for at in pages() for words in at.commands() if words[0] == "make" for word in words[1:]}
    sentences = {(at.name, word) for at in pages() for code in at.named_commands("make") for word in code.split()[1:]}
    named = blocks | sentences
    assert {(name, word) for name, word in named if "=" not in word and word not in TARGETS} == set()
    variables = {(name, word.partition("=")[0]) for name, word in named if "=" in word}
    assert {(name, word) for name, word in variables if not re.search(rf"\b{word}\b", MAKEFILE)} == set()


def test_every_make_target_says_what_it_does() -> None:
    described = set(re.findall(r"^([a-z0-9-]+):.*## .+", MAKEFILE, re.M))
    assert described == TARGETS


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("up --data x", None),
        ("COMMAND", None),
        ("--verbose COMMAND", None),
        ("fly", "there is no command fly"),
        ("up --wings=2", "up has no option --wings=2"),
        ("evaluate --features", None),
        ("evaluate --wings", "evaluate has no option --wings"),
        ("evaluate fly", "there is no command evaluate fly"),
    ],
)
def test_unknown_commands_are_found(words: str, problem: str | None) -> None:
    assert problem_with(words.split()) == problem
