"""The page with a story's file behind it, on this machine alone: nothing lives, all can be seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from bazaar_peer.page.pages import Handler, Pages
from bazaar_peer.page.story_file import StoryFile

HOST = "127.0.0.1"
BATCH = 2000
SHUTDOWN_S = 1.0


def make_app(story: StoryFile) -> web.Application:
    """Serve the page, and a stream that says that it is a file's, and where it ends."""

    async def stream(request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await response.write(_event("file", b"{}"))
        await response.write(_event("header", story.header))
        for batch in story.batches(BATCH):
            await response.write(_event("entries", batch))
        await response.write(_event("end", b"{}"))
        return response

    app = web.Application(middlewares=[local])
    for method, path, handler in [*Pages().routes(), ("GET", "/v1/story", stream)]:
        app.router.add_route(method, path, handler)
    return app


@web.middleware
async def local(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what came by a name of somebody else's, which was bound to this address meanwhile."""
    name = request.host.rpartition(":")[0] or request.host
    if name not in {HOST, "localhost"}:
        raise web.HTTPForbidden(text=f"open the page at http://{HOST}")
    return await handler(request)


def _event(kind: str, told: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), told)


@asynccontextmanager
async def serving(app: web.Application, port: int) -> AsyncIterator[str]:
    """Serve on this machine meanwhile; yields the address.

    Raises:
        OSError: the port is taken.
    """
    runner = web.AppRunner(app, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def serve(app: web.Application, port: int, tell: Callable[[str], None]) -> None:
    """Serve on this machine until cancelled; `tell` hears the address once it answers.

    Raises:
        OSError: the port is taken.
    """
    async with serving(app, port) as address:
        tell(address)
        await asyncio.Event().wait()
