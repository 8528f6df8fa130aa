"""The frame of the command line: global options, logging, and errors as messages with an exit status.

Independent of the commands, which `tidewise.cli` adds.
"""

from __future__ import annotations

import errno
import logging
import sys

import typer
from typer.core import TyperGroup

from core.errors import InvalidInput, NotFound, TidewiseError, plain_reason
from tidewise import __version__
from tidewise.commands.options import notes
from tidewise.process_setup import start_log

EXIT_ERROR, EXIT_BAD_INPUT = 1, 2
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


def new_app(group: type[TyperGroup] = TyperGroup) -> typer.Typer:
    """A command line without commands, or with those of the group."""
    app = typer.Typer(
        name="tidewise",
        cls=group,
        help="A streaming recommender with incremental updates. Start with `tidewise demo`.",
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
        False, "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
    ),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Log at debug level."),
) -> None:
    start_log(logging.DEBUG if verbose else logging.INFO)


def run(app: typer.Typer) -> None:
    """Run the command of `sys.argv`; exit status 1: an error, 2: invalid input."""
    try:
        app()
    except (InvalidInput, NotFound) as error:
        notes.print(f"error: {error}", markup=False, highlight=False, style="red", soft_wrap=True)
        sys.exit(EXIT_BAD_INPUT)
    except TidewiseError as error:
        notes.print(f"error: {error}", markup=False, highlight=False, style="red", soft_wrap=True)
        sys.exit(EXIT_ERROR)
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        place = "" if error.filename is None else f"{error.filename}: "
        text = f"error: {place}{plain_reason(error)}; free space on that disk, then run the command again"
        notes.print(text, markup=False, highlight=False, style="red", soft_wrap=True)
        sys.exit(EXIT_ERROR)
