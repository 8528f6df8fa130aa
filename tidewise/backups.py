"""Backups: a folder with the database, the models and collected features, and the digest of each file.

The database is copied as of one moment while processes work; models never change once they are written. A backup is
written aside and renamed, so a folder under its final name is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors import InvalidInput, plain_reason
from storage import copies, open_store
from tidewise import __version__
from tidewise.bootstrap import FEATURES_FOLDER, MODELS_FOLDER
from tidewise.data_folder import hold
from tidewise.settings.schema import Settings

FORMAT = 1
MANIFEST, DATABASE = "manifest.json", "database"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a backup: its size in bytes and the SHA-256 of its content."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds.

    `backend`: of the database, "sqlite" or "postgresql". `schema`: its newest migration. `made_ms`: when it was made.
    `files`: by path within the folder.
    """

    backend: str
    schema: str
    version: str
    made_ms: int
    files: Mapping[str, StoredFile]
    format: int = FORMAT

    @property
    def num_bytes(self) -> int:
        """The size of all files."""
        return sum(file.bytes for file in self.files.values())


def make_backup(settings: Settings, folder: Path, *, now_ms: int, progress: Progress) -> Backup:
    """Write a backup to a new folder, and check it by reading it again.

    Raises `InvalidInput` where something lies there, `InvalidSettings` and `StoreUnavailable`.
    """
    if folder.exists():
        msg = f"{folder}: it exists already; name a new folder"
        raise InvalidInput(msg)
    aside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)  # of a backup that was interrupted
    url = settings.database_url()
    with copies.copying(settings.data.folder, folder), _removed_on_failure(aside):
        aside.mkdir(parents=True, mode=0o700)  # a backup holds personal data
        # A model proposed before the copy of the database is there before or after it: retention keeps the newest.
        _copy_models(settings, aside, progress)
        progress("database")
        copies.dump(url, aside / DATABASE)
        _copy_models(settings, aside, progress)
        backup = Backup(copies.backend_of(url), copies.SCHEMA, __version__, now_ms, dict(_digests(aside, progress)))
        _write(aside / MANIFEST, json.dumps(asdict(backup), indent=1).encode())
        aside.rename(folder)
    return backup


@contextmanager
def _removed_on_failure(folder: Path) -> Iterator[None]:
    """Half a backup would fill the disk further."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def read_backup(folder: Path, *, progress: Progress) -> Backup:
    """What a backup holds, after comparing every file with its digest; raises `InvalidInput`."""
    try:
        document = json.loads((folder / MANIFEST).read_bytes())
        if document["format"] != FORMAT:
            msg = (
                f"{folder}: wanted a backup of format {FORMAT}, got {document['format']}; use the version that made it"
            )
            raise InvalidInput(msg)
        files = {name: StoredFile(**file) for name, file in document["files"].items()}
        backup = Backup(**{**document, "files": files})
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, InvalidInput):
            raise
        msg = f"{folder}: no backup ({MANIFEST}: {plain_reason(error)}); name a folder that `tidewise backup` made"
        raise InvalidInput(msg) from error
    found = dict(_digests(folder, progress))
    for name in sorted({*backup.files, *found}):
        if backup.files.get(name) != found.get(name):
            state = "missing" if name not in found else "damaged" if name in backup.files else "not part of the backup"
            msg = f"{folder / name}: {state}; nothing was restored, use another backup"
            raise InvalidInput(msg)
    return backup


def restore_backup(folder: Path, settings: Settings, *, progress: Progress) -> Backup:
    """Make a data folder and its database of a backup, and migrate it to this version.

    The database comes last: a restore that was interrupted can be run again. Raises `InvalidInput` where the backup is
    damaged, of another kind of database, or where there is a database already, `StoreUnavailable` on a full disk.
    """
    backup = read_backup(folder, progress=progress)
    url = settings.database_url()
    if copies.backend_of(url) != backup.backend:
        msg = f"{folder}: a backup of {backup.backend}, but the settings name a database of {copies.backend_of(url)}"
        raise InvalidInput(msg)
    copies.check_empty(url)
    with hold(settings.data.folder):
        for name in (MODELS_FOLDER, FEATURES_FOLDER):
            if (folder / name).is_dir():
                progress(name)
                target = settings.data.folder / name
                with copies.copying(folder / name, target):
                    shutil.copytree(folder / name, target, dirs_exist_ok=True)
        progress("database")
        copies.load(folder / DATABASE, url)
        open_store(url).close()  # migrates
    return backup


def _copy_models(settings: Settings, target: Path, progress: Progress) -> None:
    """Copy the models and collections of features that are not copied yet."""
    for kind in (MODELS_FOLDER, FEATURES_FOLDER):
        for source in sorted((settings.data.folder / kind).glob("[!.]*")):
            copy = target / kind / source.name
            if copy.exists():
                continue
            progress(f"{kind}/{source.name}")
            try:
                shutil.copytree(source, copy)
            except (shutil.Error, FileNotFoundError):
                if source.exists():
                    raise
                shutil.rmtree(copy, ignore_errors=True)  # the trainer deleted this version meanwhile


def _digests(folder: Path, progress: Progress) -> Iterator[tuple[str, StoredFile]]:
    """The files of a backup but its manifest, flushed to the disk."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():  # to a folder, whose files would be copied unchecked
            msg = f"{path}: wanted files and folders, got a symbolic link; nothing was restored, use another backup"
            raise InvalidInput(msg)
        if path.is_dir() or name == MANIFEST:
            continue
        progress(f"checking {name}")
        with path.open("rb") as file:
            yield name, StoredFile(os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest())
            os.fsync(file.fileno())


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
