"""What `tidewise export` writes, `tidewise import --preset tidewise` reads: another shop with the same data."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tidewise.cli import main

ITEMS = [
    {"item_id": "tea", "title": "Tea", "stock": 3, "attributes": {"price": 9.5, "brand": "acme", "organic": True}}
    | {"text": "Green", "categories": ["drinks", "leaves"], "hidden": True},
    {"item_id": "pot", "title": "Pot"},
]
EVENTS = "user_id,item_id,time,type,value\nann,tea,1700000000,purchase,9.5\nann,tea,1700000000,purchase,9.5\n"
USERS = "user_id,country\nann,DE\n"


def tidewise(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["tidewise", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code


@pytest.mark.parametrize("kind", ["parquet", "jsonl.gz"])
def test_an_export_is_read_back_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    files = {name: tmp_path / f"{name}.source" for name in ("events", "items", "users")}
    files["events"].write_text(EVENTS)
    files["items"].write_text("\n".join(map(json.dumps, ITEMS)))
    files["users"].write_text(USERS)
    shops = tmp_path / "first", tmp_path / "second"
    for shop in shops:
        options = [part for name, path in files.items() for part in (f"--{name}", path)]
        tidewise(monkeypatch, "import", "--data", shop, "--preset", "tidewise", *options)
        files = {name: shop / f"{name}.{kind}" for name in files}
        options = [part for name, path in files.items() for part in (f"--{name}", path)]
        tidewise(monkeypatch, "export", "--data", shop, *options)
    for name in files:
        lines = [shop / f"{name}.jsonl" for shop in shops]
        for shop, path in zip(shops, lines, strict=True):
            tidewise(monkeypatch, "export", "--data", shop, f"--{name}", path)
        first, second = (path.read_text() for path in lines)
        assert first == second
    stored = {item["item_id"]: item for item in map(json.loads, (shops[1] / "items.jsonl").read_text().splitlines())}
    assert [{name: stored[given["item_id"]][name] for name in given} for given in ITEMS] == ITEMS
    assert json.loads((shops[1] / "events.jsonl").read_text().splitlines()[1])["type"] == "purchase"


def test_columns_that_are_not_read_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "events.csv"
    path.write_text(EVENTS)
    tidewise(monkeypatch, "import", "--data", tmp_path / "shop", "--events", path)
    assert "not read: type, value; name them (--columns)" in capsys.readouterr().err
    columns = "user_id,item_id,time,type,value"
    tidewise(monkeypatch, "import", "--data", tmp_path / "other", "--events", path, "--columns", columns)
    assert "not read" not in capsys.readouterr().err
