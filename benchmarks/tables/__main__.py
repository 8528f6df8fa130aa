"""The tables of docs/experiments.md that compare models, each by its name, resumable after a kill.

    python -m benchmarks.tables --list
    python -m benchmarks.tables toys-leave-one-out toys-temporal --data-dir DATA
    python -m benchmarks.tables all --data-dir DATA --out .tidewise/tables

DATA holds one folder per data set (docs/evaluation.md says where they come from). Each table is one call of `tidewise
evaluate` (a replay two, a curve five), printed before it runs; trainings that are finished are read from the cache, one
that was killed goes on at its last epoch. `OUT/NAME.json` is the whole report, `OUT/NAME.md` the table. Every training
of a table has one budget.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from benchmarks.tables.comparisons import COMPARISONS, ComparisonTable
from benchmarks.tables.curves import CURVES
from benchmarks.tables.replays import REPLAYS, ReplayTable
from tidewise.process_setup import own_command

TABLES: Mapping[str, ComparisonTable | ReplayTable] = {**COMPARISONS, **CURVES, **REPLAYS}
CHANGED = ("epochs", "seeds", "trials", "sizes", "max_test_events", "max_minutes")  # by options of the same name


def tidewise(words: Sequence[str]) -> str:
    """Run a command, its progress on standard error; its output. Raises `CalledProcessError`."""
    sys.stderr.write(f"tidewise {shlex.join(words)}\n")
    done = subprocess.run(own_command(*words), stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def make(name: str, table: ComparisonTable | ReplayTable, data: Path, out: Path, threads: int) -> None:
    """Compute one table, or go on with it."""
    report, figures = table.make(tidewise, data, out, threads)
    (out / f"{name}.json").write_text(json.dumps(report, indent=1))
    commands = [f"    tidewise {shlex.join(words)}" for words in table.commands(data, out, threads)]
    text = "\n".join([f"{name}: {table.about}", "", *commands, "", figures])
    (out / f"{name}.md").write_text(text)
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def changed(table: ComparisonTable | ReplayTable, changes: Mapping[str, Any]) -> ComparisonTable | ReplayTable:
    """The table with what the command line says instead of its own, as far as it has that."""
    own = {field.name for field in fields(table)}
    return replace(table, **{name: value for name, value in changes.items() if name in own})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="tables to make, or all")
    parser.add_argument("--list", action="store_true", help="say which tables there are")
    parser.add_argument("--data-dir", type=Path, help="the folder of the data sets")
    parser.add_argument("--out", type=Path, default=Path(".tidewise/tables"), help="where results are kept")
    parser.add_argument("--threads", type=int, default=0, help="cores for networks (0: all but one)")
    for name in ("epochs", "seeds", "trials", "max-test-events"):
        parser.add_argument(f"--{name}", type=int, help="instead of the table's own")
    parser.add_argument("--sizes", type=_numbers, help="of a curve, instead of its own: 1000,3000,10000")
    parser.add_argument("--max-minutes", type=float, help="instead of the table's own, of each training")
    return parser.parse_args()


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def main() -> int:
    """Make the named tables one after the other; 1 where one failed, the others are made all the same."""
    options = _arguments()
    if options.list or not options.names:
        sys.stdout.writelines(f"{name:<26} {table.about}\n" for name, table in TABLES.items())
        return 0
    unknown = [name for name in options.names if name not in (*TABLES, "all")]
    if unknown or options.data_dir is None:
        problem = f"unknown table {unknown[0]!r}" if unknown else "wanted --data-dir"
        sys.stderr.write(f"{problem}; see --help and --list\n")
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    changes = {name: getattr(options, name) for name in CHANGED if getattr(options, name) is not None}
    failed = []
    for name in TABLES if "all" in options.names else options.names:
        try:
            make(name, changed(TABLES[name], changes), options.data_dir, options.out, options.threads)
        except subprocess.CalledProcessError as error:
            failed.append(name)
            sys.stderr.write(f"{name}: ended with {error.returncode}; the next one follows\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
