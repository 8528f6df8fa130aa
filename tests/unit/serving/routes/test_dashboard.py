"""The dashboard's files: complete, self-contained, sent with a Content-Security-Policy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving_doubles import Api, Shop

from serving.app import create_app

PAGES = Path(__file__).parents[4] / "serving" / "pages"
FILES = sorted(
    str(path.relative_to(PAGES)) for path in PAGES.rglob("*") if path.suffix in (".html", ".css", ".js", ".svg")
)
OWN = [name for name in FILES if not name.startswith("vendor/")]
MAX_BYTES = 300 * 1024  # of all files together, loaded once


@pytest.fixture
def api() -> Iterator[Api]:
    with Api(create_app(Shop().services)) as api:
        yield api


def test_every_file_has_its_type_and_the_content_security_policy(api: Api) -> None:
    for name in ("", "docs", *(f"pages/{name}" for name in FILES)):
        reply = api.get(f"/{name}")
        suffix = name.rpartition(".")[2] if "." in name else "html"
        content_type = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}[suffix]
        policy = reply.headers["content-security-policy"]
        assert (reply.status_code, reply.headers["content-type"].partition(";")[0]) == (200, content_type), name
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy, name
        assert "unsafe" not in policy, name
        assert reply.headers["x-content-type-options"] == "nosniff", name


def test_all_files_together_are_small() -> None:
    assert sum((PAGES / name).stat().st_size for name in FILES) <= MAX_BYTES


def test_an_unchanged_file_is_304(api: Api) -> None:
    etag = api.get("/").headers["etag"]
    revalidation = api.get("/", headers={"If-None-Match": etag})
    assert (revalidation.status_code, revalidation.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/pages/", "/pages/nothing.js", "/pages/../app.py", "/pages/%2e%2e/app.py", "/pages/scripts"]
)
def test_no_other_file_is_served(api: Api, path: str) -> None:
    reply = api.get(path)
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "no_such_path")


def test_pages_load_from_no_other_server_and_never_write_markup() -> None:
    for name in OWN:
        text = (PAGES / name).read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.findall(r"https?:|//[a-z]+\.|@import|url\((?!#)", text), name
        written = r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|new Function|srcdoc"
        assert not re.findall(written, text), name


@pytest.mark.parametrize("name", [name for name in OWN if name.endswith(".html")])
def test_a_page_has_no_inline_script_or_style(name: str) -> None:
    page = (PAGES / name).read_text("utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=", page) == []


def test_the_files_of_all_pages_are_few_and_small() -> None:
    sizes = {name: (PAGES / name).stat().st_size for name in FILES}
    assert len(sizes) <= 45
    assert sum(sizes.values()) <= 250_000
    assert max(size for name, size in sizes.items() if name in OWN) <= 20_000


def test_vendored_files_name_their_origin_and_licence() -> None:
    origin = (PAGES / "vendor" / "ORIGIN.txt").read_text("utf-8")
    for path in (PAGES / "vendor").iterdir():
        assert path.name in origin


SCRIPTS = [name for name in OWN if name.endswith(".js")]
IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.[^"]+)";', re.M)


def test_script_imports_exist_and_are_used() -> None:
    for name in SCRIPTS:
        text = (PAGES / name).read_text("utf-8")
        body = IMPORT.sub("", text)
        for names, source in IMPORT.findall(text):
            exporting = ((PAGES / name).parent / source).read_text("utf-8")
            for imported in filter(None, (part.strip() for part in names.split(","))):
                export = rf"\bexport (async )?(function|class|const) {imported}\b"
                assert re.search(export, exporting), f"{name}: {imported} of {source}"
                assert re.search(rf"\b{imported}\b", body), f"{name}: {imported} is not used"
