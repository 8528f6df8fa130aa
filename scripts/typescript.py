"""Generates TypeScript types of the API from its OpenAPI document, and type-checks a shop's calls with them.

    python scripts/typescript.py [FOLDER]

Writes `openapi.json` and `tidewise.d.ts` into FOLDER (default: build/typescript). Needs npm, which downloads the pinned
packages of `scripts/typescript/package-lock.json`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from serving.app import create_app
from tidewise.bootstrap import open_system
from tidewise.processes.api_services import api_services
from tidewise.settings.schema import Settings

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "scripts" / "typescript"
OPTIONS = ("--default-non-nullable=false",)  # a field with a default may be left out


def main(folder: Path) -> None:
    """Generate and check."""
    if shutil.which("npm") is None:
        sys.exit("npm is missing; install Node.js 20 or newer (https://nodejs.org, or apt install npm)")
    folder.mkdir(parents=True, exist_ok=True)
    for source in SOURCES.iterdir():
        if source.is_file():
            shutil.copy(source, folder)
    (folder / "openapi.json").write_text(json.dumps(document()), "utf-8")
    run(folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
    run(folder, "node_modules/.bin/openapi-typescript", "openapi.json", *OPTIONS, "--output", "tidewise.d.ts")
    run(folder, "node_modules/.bin/tsc")
    sys.stdout.write(f"{folder / 'tidewise.d.ts'}: the calls of shop.ts type-check\n")


def document() -> dict[str, Any]:
    """The OpenAPI document of this checkout, from an app over an empty database."""
    with tempfile.TemporaryDirectory() as data, open_system(Settings(data={"folder": data})) as system:
        return create_app(api_services(system)).openapi()


def run(folder: Path, *command: str) -> None:
    """Run a command in the folder; exit as it does where it fails."""
    status = subprocess.run(command, cwd=folder, check=False).returncode
    if status:
        sys.exit(status)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "typescript").resolve())
