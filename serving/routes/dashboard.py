"""Static files of the dashboard and of the API reference: read once, under a policy that allows no other script.

The pages contain no data; they fetch it from the public API.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request, Response

from serving.http.replies import error_body, json_reply

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # revalidated each time and answered with 304: an upgrade shows at once
}
INDEX = "index.html"
REFERENCE = "docs.html"


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    media_type: str
    etag: str


class DashboardRoutes:
    """Serves the files of `serving/pages`, and nothing else."""

    def __init__(self) -> None:
        self._files = dict(_read(resources.files("serving").joinpath("pages"), ""))

    def register(self, router: APIRouter) -> None:
        """Add the routes; they are no part of the documented API."""
        router.add_api_route("/", self.index, methods=["GET", "HEAD"], include_in_schema=False)
        router.add_api_route("/docs", self.reference, methods=["GET", "HEAD"], include_in_schema=False)
        router.add_api_route("/pages/{path:path}", self.file, methods=["GET"], include_in_schema=False)

    async def index(self, request: Request) -> Response:
        """The dashboard."""
        return _reply(request, self._files[INDEX])

    async def reference(self, request: Request) -> Response:
        """The API reference, which is made from `/openapi.json` in the browser."""
        return _reply(request, self._files[REFERENCE])

    async def file(self, request: Request) -> Response:
        """A style, a script, an image."""
        file = self._files.get(request.path_params["path"])
        if file is None:
            message = f"there is no {request.url.path}; the dashboard is at /"
            return json_reply(error_body("no_such_path", message), status=404)
        return _reply(request, file)


def _reply(request: Request, file: _File) -> Response:
    headers = HEADERS | {"ETag": file.etag}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.body, headers=headers, media_type=file.media_type)


def _read(folder: Traversable, prefix: str) -> list[tuple[str, _File]]:
    files: list[tuple[str, _File]] = []
    for entry in folder.iterdir():
        name = f"{prefix}{entry.name}"
        if entry.is_dir():
            files += _read(entry, f"{name}/")
        elif (media_type := TYPES.get(f".{name.rpartition('.')[2]}")) is not None:
            body = entry.read_bytes()
            digest = hashlib.blake2b(body, digest_size=12).hexdigest()
            files.append((name, _File(body, media_type, f'"{digest}"')))
    return files
