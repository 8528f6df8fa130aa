"""What every command line of ours has: the options before a command, logging, and errors that end as sentences.

Knows no command: `tidewise.cli` has all of them, a process that serves starts with its own alone (`tidewise.entry`).
"""

from __future__ import annotations

import logging
import sys

import typer

from core.errors import InvalidInput, NotFound, TidewiseError
from tidewise import __version__
from tidewise.commands.options import notes

EXIT_FAULT, EXIT_BAD_INPUT = 1, 2


def new_app() -> typer.Typer:
    """A command line without commands."""
    app = typer.Typer(
        name="tidewise",
        help="A streaming recommender with incremental updates. Begin with `tidewise demo`.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_common)
    return app


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"tidewise {__version__}")
        raise typer.Exit


def _common(
    version: bool = typer.Option(
        False, "--version", help="Print the version and end.", callback=_print_version, is_eager=True
    ),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Log more."),
) -> None:
    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    if not verbose:
        for name in ("httpx", "httpcore", "uvicorn.error", "alembic", "faiss", "kafka", "aiokafka", "faust", "mode"):
            logging.getLogger(name).setLevel(logging.WARNING)


def run(app: typer.Typer) -> None:
    """Run the command that the program was given: 0 done, 1 a fault, 2 input that has to be corrected."""
    try:
        app()
    except (InvalidInput, NotFound) as error:
        notes.print(f"error: {error}", markup=False, highlight=False, style="red", soft_wrap=True)
        sys.exit(EXIT_BAD_INPUT)
    except TidewiseError as error:
        notes.print(f"error: {error}", markup=False, highlight=False, style="red", soft_wrap=True)
        sys.exit(EXIT_FAULT)
