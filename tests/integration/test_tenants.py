"""Tenants, by the lines of docs/deployment.md: what one sees and does, the other does not."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
from pages import BLOCK, commands_in, page
from services.up_process import up
from typer.testing import CliRunner

from tidewise.cli import app
from tidewise.settings.schema import CONFIG_NAME

SECTION = page("docs/deployment.md").text.split("## Several tenants")[1].split("\n## ")[0]
LINES = BLOCK.findall(SECTION)[0][1]
EVENT = {"event_id": "e1", "user_id": "ann", "item_id": "a"}
OK, NO_KEY = 200, 401


def tenant(folder: Path) -> httpx.Headers:
    """A data folder with the operator's own key in its settings; that key."""
    key = f"the-own-key-of-{folder.parent.name}"
    folder.mkdir(parents=True, mode=0o700)
    (folder / CONFIG_NAME).write_text(f'[server]\napi_key = "{key}"\n')
    return httpx.Headers({"X-API-Key": key})


def status(url: str, method: str, path: str, key: httpx.Headers) -> int:
    body = EVENT if method == "POST" else None
    return httpx.request(method, f"{url}{path}", json=body, headers=key).status_code


def test_tenants_as_documented_share_no_key_and_no_data(tmp_path: Path) -> None:
    lines = re.sub(r"/srv/(\w+)", rf"{tmp_path}/\1/data", LINES)
    create, *starts = [words[1:] for words in commands_in(re.sub(r"--port \d+", "--port 0", lines))]
    folders = [Path(words[words.index("--data") + 1]) for words in starts]
    own_north, own_south = map(tenant, folders)
    made = CliRunner().invoke(app, create, catch_exceptions=False)
    shop_north = httpx.Headers({"X-API-Key": made.stdout.strip()})
    first, second = (up(folder, options=words[1:]) for folder, words in zip(folders, starts, strict=True))
    with first as (_, north), second as (_, south):
        assert status(north, "POST", "/v1/interactions", shop_north) == OK
        for key in (shop_north, own_north):
            assert status(south, "POST", "/v1/interactions", key) == NO_KEY
            assert status(south, "GET", "/v1/users", key) == NO_KEY
            assert status(south, "DELETE", "/v1/users/ann", key) == NO_KEY
        assert status(north, "GET", "/v1/users", own_south) == NO_KEY
        assert httpx.get(f"{south}/v1/users", headers=own_south).json()["users"] == []
        again = httpx.post(f"{south}/v1/interactions", json=EVENT, headers=own_south)
        assert again.json()["accepted"] == 1  # the event's id is no duplicate here
        assert status(south, "DELETE", "/v1/users/ann", own_south) == OK
        kept = httpx.get(f"{north}/v1/users", headers=own_north).json()["users"]
        assert [user["user_id"] for user in kept] == ["ann"]
