"""A ring in a cluster as if it ran here: an address on this machine that leads to its pods.

While a command runs, a small server on this machine leads to the ring's pods (forwarder.py): at its
root to whichever answers, at /peers/3 to the pod of peer 3, which is what `/v1/ring` calls that
peer. So commands need to know nothing of clusters. It serves programs: what comes from a page in a
browser is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
from aiohttp import web

from bazaar_peer.page import watch
from bazaar_peer.page.forwarder import BODY_MAX_BYTES, Forwarder, Pods, plainly, reached_pods
from bazaar_peer.page.pages import Handler
from bazaar_peer.page.watch import local

LIMITS_S: Final = 15.0, 70.0
"""A reading may wait for its place in the journal, a command for the longest of deadlines."""


@contextlib.asynccontextmanager
async def reached(namespace: str, name: str) -> AsyncIterator[str]:
    """Yield an address by which the ring is reached meanwhile.

    Raises:
        ClusterError: it cannot be reached.
    """
    async with (
        reached_pods(namespace, name) as (http, pods),
        watch.serving(make_app(http, pods), 0) as address,
    ):
        yield address.rstrip("/")


def each(told: dict[str, Any], origin: str) -> None:
    """Give every peer of a view its own address here."""
    for row in told.get("peers", ()):
        row["url"] = f"{origin}/peers/{row['id']}"


def make_app(http: aiohttp.ClientSession, pods: Pods) -> web.Application:
    forwarder = Forwarder(http, pods, each, limits=LIMITS_S)
    app = web.Application(middlewares=[local, _programs, plainly], client_max_size=BODY_MAX_BYTES)
    for place in ("", r"/peers/{peer:\d{1,4}}"):
        for stream in ("/v1/events", "/v1/story"):
            app.router.add_get(place + stream, forwarder.stream)
        app.router.add_route("*", place + "/{path:.*}", forwarder.answer)
    return app


@web.middleware
async def _programs(request: web.Request, handler: Handler) -> web.StreamResponse:
    if "Origin" in request.headers:
        raise web.HTTPForbidden(text="a browser looks at a ring by `bazaar page`")
    return await handler(request)
