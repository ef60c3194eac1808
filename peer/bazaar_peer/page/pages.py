"""The page's files over HTTP, and the policy that binds whatever runs in them.

Nothing of another origin is ever loaded, no text of others can become script or style, and the page
connects to the peers of its own ring alone. The files are read once, when the handlers are made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable
from importlib.resources import files
from typing import Final

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src {}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
INDEX = "index.html"


class Pages:
    """The handlers; `origins` names those of the ring's peers, as they are now."""

    def __init__(self, origins: Callable[[], Iterable[str]] = tuple) -> None:
        self.origins = origins
        self._files: dict[str, tuple[bytes, str, str]] = {}
        for file in files(__package__).joinpath("static").iterdir():
            kind = TYPES.get(file.name[file.name.rfind(".") :])
            if kind is not None:
                body = file.read_bytes()
                self._files[file.name] = (body, kind, hashlib.sha256(body).hexdigest()[:32])

    async def index(self, request: web.Request) -> web.Response:
        return self._served(request, INDEX)

    async def file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._files:
            raise web.HTTPNotFound
        return self._served(request, name)

    def _served(self, request: web.Request, name: str) -> web.Response:
        """Answer with a file, or with 304 to whom has it; the policy is always that of now."""
        body, kind, tag = self._files[name]
        headers = {
            "Cache-Control": "no-cache",
            "Content-Security-Policy": POLICY.format(" ".join(["'self'", *self.origins()])),
            "Cross-Origin-Opener-Policy": "same-origin",
            "ETag": f'"{tag}"',
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        known = request.if_none_match or ()
        if any(each.value == tag for each in known):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers=headers | {"Content-Type": kind})

    def routes(self) -> list[tuple[str, str, Handler]]:
        return [("GET", "/", self.index), ("GET", "/page/{name}", self.file)]


def shared(handler: Handler, origins: Callable[[], Iterable[str]]) -> Handler:
    """Let pages that other peers of the ring have served read what this handler answers.

    A page outlives the peer that it came from: it goes on through the others.
    """

    async def answer(request: web.Request) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is None or origin not in origins():
            return await handler(request)
        request[ALLOWED] = origin
        response = await handler(request)
        if not response.prepared:
            response.headers.update(allowing(request))
        return response

    return answer


ALLOWED: Final = web.RequestKey("ALLOWED", str)


def allowing(request: web.BaseRequest) -> dict[str, str]:
    """Headers for a handler that prepares its response itself, such as a stream."""
    origin = request.get(ALLOWED)
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"} if origin else {}


def preflight(origins: Callable[[], Iterable[str]]) -> Handler:
    """Answer a browser that asks whether a page of another peer may send this here."""

    async def answer(request: web.Request) -> web.Response:
        headers = {"Vary": "Origin", "Allow": "GET, POST, OPTIONS"}
        if (origin := request.headers.get("Origin", "")) in origins():
            headers |= {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Methods": "GET, POST",
                "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key",
                "Access-Control-Max-Age": "600",
            }
        return web.Response(status=204, headers=headers)

    return answer
