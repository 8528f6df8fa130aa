"""Damaged model files: the server still starts and answers, and names the file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
from services.up_process import up

from core.records.stored import ModelRecord
from storage import open_store


def flip_a_byte(model: Path) -> Path:
    path = model / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path


def cut_the_description(model: Path) -> Path:
    path = model / "bundle.json"
    path.write_bytes(path.read_bytes()[:-20])
    return path


def cut_the_manifest(model: Path) -> Path:
    path = model / "manifest.json"
    path.write_bytes(path.read_bytes()[:-20])
    return path


def remove_it_all(model: Path) -> Path:
    shutil.rmtree(model)
    return model


DAMAGES: tuple[Callable[[Path], Path], ...] = (flip_a_byte, cut_the_description, cut_the_manifest, remove_it_all)


def readiness(http: httpx.Client) -> dict[str, Any]:
    response = http.get("/ready")
    assert response.is_success, response.text
    check: dict[str, Any] = response.json()["checks"]["model"]
    return check


def answer_of(http: httpx.Client) -> dict[str, Any]:
    answer: dict[str, Any] = http.get("/v1/users/user-0001/recommendations").raise_for_status().json()
    return answer


def test_with_a_damaged_champion_counts_rank(shop: Path) -> None:
    damaged = flip_a_byte(next((shop / "models").iterdir()))
    with up(shop) as (server, url), httpx.Client(base_url=url, timeout=30) as http:
        message = readiness(http)["message"]
        answer = answer_of(http)
        assert str(damaged) in message
        assert "train again" in message
        assert (answer["source"], answer["model_version"]) == ("counts", None)
        assert answer["items"]
        assert str(damaged) in server.log


def test_the_previous_model_serves_while_the_new_champion_is_damaged(shop: Path) -> None:
    sound = next((shop / "models").iterdir())
    with up(shop) as (server, url), httpx.Client(base_url=url, timeout=30) as http:
        for damage in DAMAGES:
            damaged = damage(crown(shop, sound, version=f"damaged-{damage.__name__}"))
            server.until(lambda named=str(damaged): named in readiness(http).get("message", ""))
            answer = answer_of(http)
            assert (answer["source"], answer["model_version"]) == ("model", sound.name), damage.__name__
        crown(shop, sound, version="sound")
        server.until(lambda: readiness(http) == {"ok": True, "version": "sound"})
        assert answer_of(http)["model_version"] == "sound"


def crown(shop: Path, model: Path, *, version: str) -> Path:
    """A copy of a model under another version, made the champion."""
    folder = shop / "models" / version
    shutil.copytree(model, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"version": version}))
    with closing(open_store(f"sqlite:///{shop / 'tidewise.db'}")) as store, store.transaction() as tx:
        tx.models.save(ModelRecord(version, f"models/{version}", "champion", created_ms=1))
        tx.commit()
    return folder
