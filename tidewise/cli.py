"""The command line: `tidewise COMMAND`. Each command lives in `tidewise.commands`; errors end here."""

from __future__ import annotations

import logging
import sys
from functools import cache

import typer

from core.errors import InvalidInput, NotFound, TidewiseError
from tidewise import __version__
from tidewise.commands import run
from tidewise.commands.options import notes
from tidewise.entry import serves

EXIT_FAULT, EXIT_BAD_INPUT = 1, 2


@cache
def command_line(*, serving: bool = False) -> typer.Typer:
    """All commands; `serving`: those that serve alone, because a killed worker has no time to import the others."""
    app = typer.Typer(
        name="tidewise",
        help="A streaming recommender with incremental updates. Begin with `tidewise demo`.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_common)
    if serving:
        run.register(app)
        return app
    from tidewise.commands import ask, data, evaluate, features, learn, letters, models, show

    for module in (data, features, learn, evaluate, run, ask, models, letters, show):
        module.register(app)
    return app


def _common(
    version: bool = typer.Option(False, "--version", help="Print the version and end.", is_eager=True),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Log more."),
) -> None:
    if version:
        typer.echo(f"tidewise {__version__}")
        raise typer.Exit
    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    if not verbose:
        for name in ("httpx", "httpcore", "uvicorn.error", "alembic", "faiss", "kafka", "aiokafka", "faust", "mode"):
            logging.getLogger(name).setLevel(logging.WARNING)


def main() -> None:
    """The way in of the `tidewise` command: 0 done, 1 a fault, 2 input that has to be corrected."""
    try:
        command_line(serving=serves(sys.argv))()
    except (InvalidInput, NotFound) as error:
        notes.print(f"error: {error}", markup=False, highlight=False, style="red", soft_wrap=True)
        sys.exit(EXIT_BAD_INPUT)
    except TidewiseError as error:
        notes.print(f"error: {error}", markup=False, highlight=False, style="red", soft_wrap=True)
        sys.exit(EXIT_FAULT)
