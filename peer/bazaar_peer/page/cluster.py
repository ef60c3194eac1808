"""The live page of a ring in a cluster, through a small server here that outlives every pod.

The page's own files come from here; what it asks of the ring goes to whichever pod answers
(forwarder.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import web

from bazaar_peer.page import watch
from bazaar_peer.page.forwarder import BODY_MAX_BYTES, Forwarder, Pods, plainly, reached_pods
from bazaar_peer.page.pages import Pages
from bazaar_peer.page.watch import local

ANSWER_S, ORDER_S = 5.0, 20.0


def here(told: dict[str, Any], origin: str) -> None:
    """Name this server as the place of every peer: a browser reaches no other, nor changes one."""
    told["looks_only"] = True
    for row in told.get("peers", ()):
        row["url"] = origin


async def serve(
    namespace: str, name: str, context: str, port: int, tell: Callable[[str], None]
) -> None:
    """Serve until cancelled; `tell` hears the address once a pod is known.

    Raises:
        ClusterError: the ring cannot be reached.
        OSError: the port is taken.
    """
    async with reached_pods(namespace, name, context) as (http, pods):
        await watch.serve(make_app(http, pods), port, tell)


def make_app(http: aiohttp.ClientSession, pods: Pods) -> web.Application:
    forwarder = Forwarder(http, pods, here, limits=(ANSWER_S, ORDER_S))
    app = web.Application(middlewares=[local, plainly], client_max_size=BODY_MAX_BYTES)
    app.router.add_get("/v1/story", forwarder.stream)
    for path in ("/v1/ring", "/v1/stock", "/v1/record"):
        app.router.add_get(path, forwarder.answer)
    app.router.add_post("/v1/orders", forwarder.answer)
    for method, path, handler in Pages().routes():
        app.router.add_route(method, path, handler)
    return app
