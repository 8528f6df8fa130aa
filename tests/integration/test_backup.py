"""Backup and restore: a copy as of one moment while writers work, complete and checked, or not restored at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
from domain_doubles import event, ingestor
from services import postgres, small_shop
from services.databases import Database

from core.errors import InvalidInput, StoreUnavailable
from core.ingestion.derivation import Derivation
from core.ingestion.sources import RequestSource
from core.ingestion.verify import Verification, verify
from tidewise import backups
from tidewise.bootstrap import open_existing
from tidewise.settings.schema import Settings, load_settings


def silent(_step: str) -> None:
    pass


def settings_of(folder: Path, url: str) -> Settings:
    return load_settings(overrides={"data.folder": str(folder), "database.url": url}, environment={})


def verified(settings: Settings) -> Verification:
    with open_existing(settings) as system, system.store.read() as read:
        return verify(read, Derivation(system.types, system.shape), progress=lambda _num: None)


def a_backup(folder: Path, settings: Settings) -> backups.Backup:
    return backups.make_backup(settings, folder, now_ms=1, progress=silent)


@pytest.fixture
def installation(database: Database, tmp_path: Path) -> Settings:
    """A data folder with a file of a model, and a database with an event."""
    model = tmp_path / "data" / "models" / "model-1"
    model.mkdir(parents=True)
    (model / "weights").write_bytes(b"weights")
    (model.parent / ".unfinished").write_bytes(b"half a training")
    ingestor(database.store).ingest([event("ann", "tea")], RequestSource("api"))
    return settings_of(tmp_path / "data", database.url)


@pytest.fixture
def new_url(database: Database, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of the same kind."""
    if database.url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path}/restored/tidewise.db"
        return
    with postgres.fresh_database(request.getfixturevalue("postgres_server")) as url:
        yield url


def test_a_restored_installation_has_events_and_models(installation: Settings, new_url: str, tmp_path: Path) -> None:
    a_backup(tmp_path / "backup", installation)
    restored = settings_of(tmp_path / "restored", new_url)
    backups.restore_backup(tmp_path / "backup", restored, progress=silent)
    result = verified(restored)
    assert (result.num_events, result.examples) == (1, [])
    assert (tmp_path / "restored/models/model-1/weights").read_bytes() == b"weights"
    assert not (tmp_path / "restored/models/.unfinished").exists()


def test_a_backup_beside_a_writer_is_of_one_moment(installation: Settings, new_url: str, tmp_path: Path) -> None:
    started, stop, acknowledged = Event(), Event(), list[str]()

    def write() -> None:
        with open_existing(installation) as system:  # with the window of the settings, by which the copy is verified
            while not stop.is_set():
                events = [event(f"user-{place}", f"item-{len(acknowledged)}") for place in range(3)]
                system.ingestor.ingest(events, RequestSource("api"))
                acknowledged.extend(sent.event_id for sent in events)
                started.set()

    thread = Thread(target=write)
    thread.start()
    try:
        assert started.wait(timeout=60)
        before = len(acknowledged)
        a_backup(tmp_path / "backup", installation)
    finally:
        stop.set()
        thread.join()
    restored = settings_of(tmp_path / "restored", new_url)
    backups.restore_backup(tmp_path / "backup", restored, progress=silent)
    result = verified(restored)
    assert result.examples == []
    assert before <= result.num_events - 1 <= len(acknowledged)
    assert (result.num_events - 1) % 3 == 0  # whole transactions


def test_a_restored_shop_serves_its_model(shop_template: Path, tmp_path: Path) -> None:
    a_backup(tmp_path / "backup", small_shop.settings_in(shop_template))
    target = tmp_path / "restored"
    target.mkdir()
    shutil.copy(shop_template / "tidewise.toml", target)
    restored = small_shop.settings_in(target)
    backups.restore_backup(tmp_path / "backup", restored, progress=silent)
    with open_existing(restored) as system:
        system.snapshots.refresh()
        assert system.snapshots.current().model is not None


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def add_file(path: Path) -> None:
    path.with_name("another").write_text("")


@pytest.mark.parametrize("name", ["database", "models/model-1/weights"])
@pytest.mark.parametrize(("damage", "word"), [(flip, "damaged"), (Path.unlink, "missing"), (add_file, "not part")])
def test_a_damaged_backup_restores_nothing(
    damage: Callable[[Path], None],
    word: str,
    name: str,
    sqlite_database: Database,
    tmp_path: Path,
) -> None:
    (tmp_path / "data/models/model-1").mkdir(parents=True)
    (tmp_path / "data/models/model-1/weights").write_bytes(b"weights")
    a_backup(tmp_path / "backup", settings_of(tmp_path / "data", sqlite_database.url))
    damage(tmp_path / "backup" / name)
    target = settings_of(tmp_path / "restored", f"sqlite:///{tmp_path}/restored/tidewise.db")
    with pytest.raises(InvalidInput, match=word):
        backups.restore_backup(tmp_path / "backup", target, progress=silent)
    assert not (tmp_path / "restored").exists()


@pytest.mark.parametrize("name", ["models/model-2", "models/model-1/weights"])
def test_a_backup_with_a_link_restores_nothing(name: str, sqlite_database: Database, tmp_path: Path) -> None:
    (tmp_path / "data/models/model-1").mkdir(parents=True)
    (tmp_path / "data/models/model-1/weights").write_bytes(b"weights")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/secret").write_text("of this machine")
    a_backup(tmp_path / "backup", settings_of(tmp_path / "data", sqlite_database.url))
    (tmp_path / "backup" / name).unlink(missing_ok=True)
    (tmp_path / "backup" / name).symlink_to(tmp_path / "elsewhere")
    target = settings_of(tmp_path / "restored", f"sqlite:///{tmp_path}/restored/tidewise.db")
    with pytest.raises(InvalidInput, match="symbolic link; nothing was restored"):
        backups.restore_backup(tmp_path / "backup", target, progress=silent)
    assert not (tmp_path / "restored").exists()


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_restore_on_a_full_disk_says_so_and_leaves_no_rest(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_backup(tmp_path / "backup", settings_of(tmp_path / "data", sqlite_database.url))
    target = settings_of(tmp_path / "restored", f"sqlite:///{tmp_path}/restored/tidewise.db")
    monkeypatch.setattr(shutil, "copyfile", full_disk)
    with pytest.raises(
        StoreUnavailable, match=r"cannot be copied to .*restored/tidewise\.db \(no space left on device\)"
    ):
        backups.restore_backup(tmp_path / "backup", target, progress=silent)
    assert {path.name for path in (tmp_path / "restored").iterdir()} == {"up.lock"}


def test_models_that_a_full_disk_does_not_take_are_told(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data/models/model-1").mkdir(parents=True)
    (tmp_path / "data/models/model-1/weights").write_bytes(b"weights")
    monkeypatch.setattr(shutil, "copytree", full_disk)
    with pytest.raises(StoreUnavailable, match=r"cannot be copied to .*backup \(no space left on device\); check"):
        a_backup(tmp_path / "backup", settings_of(tmp_path / "data", sqlite_database.url))
    assert [path.name for path in tmp_path.glob("*backup*")] == []


def test_a_manifest_that_is_nested_deeply_is_none(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(InvalidInput, match="no backup"):
        backups.read_backup(tmp_path, progress=silent)


def test_a_backup_is_for_its_owner_alone(sqlite_database: Database, tmp_path: Path) -> None:
    a_backup(tmp_path / "backup", settings_of(tmp_path / "data", sqlite_database.url))
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o700


def test_a_folder_without_a_manifest_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no backup \(manifest\.json: no such file\); name a folder"):
        backups.read_backup(tmp_path, progress=silent)


def test_a_database_is_never_overwritten(installation: Settings, tmp_path: Path) -> None:
    a_backup(tmp_path / "backup", installation)
    with pytest.raises(InvalidInput, match=r"a database lies there|has \d+ tables"):
        backups.restore_backup(tmp_path / "backup", installation, progress=silent)
    assert verified(installation).num_events == 1


def test_a_backup_of_another_kind_of_database_is_refused(sqlite_database: Database, tmp_path: Path) -> None:
    a_backup(tmp_path / "backup", settings_of(tmp_path / "data", sqlite_database.url))
    target = settings_of(tmp_path / "restored", "postgresql://127.0.0.1/none")
    with pytest.raises(InvalidInput, match="a backup of sqlite"):
        backups.restore_backup(tmp_path / "backup", target, progress=silent)


def test_an_existing_folder_is_never_written_into(sqlite_database: Database, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    with pytest.raises(InvalidInput, match="exists already"):
        a_backup(tmp_path / "backup", settings_of(tmp_path / "data", sqlite_database.url))


def test_a_backup_after_an_interrupted_one_is_whole(sqlite_database: Database, tmp_path: Path) -> None:
    partial = tmp_path / ".backup.partial"
    partial.mkdir()
    (partial / "rest").write_text("")
    made = a_backup(tmp_path / "backup", settings_of(tmp_path / "data", sqlite_database.url))
    assert set(made.files) == {"database"}
    assert backups.read_backup(tmp_path / "backup", progress=silent) == made


def test_a_backup_that_cannot_be_written_leaves_no_folder(sqlite_database: Database, tmp_path: Path) -> None:
    sqlite_database.store.close()
    Path(sqlite_database.url.removeprefix("sqlite:///")).write_bytes(b"no database" * 1000)
    with pytest.raises(StoreUnavailable, match="cannot be copied"):
        a_backup(tmp_path / "backup", settings_of(tmp_path / "data", sqlite_database.url))
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize(
    "url", ["postgresql://me:secret@127.0.0.1:1/shop", "postgresql://me@127.0.0.1:1/shop?password=secret"]
)
def test_a_password_is_not_in_the_process_list(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "pg_dump"
    tool.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\necho "$PGPASSWORD" > {tmp_path}/password\nexit 3\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(StoreUnavailable, match="exit status 3"):
        a_backup(tmp_path / "backup", settings_of(tmp_path / "data", url))
    assert "secret" not in (tmp_path / "arguments").read_text()
    assert (tmp_path / "password").read_text() == "secret\n"
