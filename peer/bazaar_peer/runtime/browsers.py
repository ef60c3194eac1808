"""What a browser may be made to ask of this peer: nothing by a page of somebody else.

A browser runs pages of anybody, and reaches this machine's ports. A name of somebody else's can be
bound to 127.0.0.1 after its page was loaded (DNS rebinding): so a peer on one machine answers to
this machine's names alone; in a cluster any Ingress may name it. And a browser sends what it need
not ask about first, an empty POST or a WebSocket handshake, from any page: so what changes
something comes from a page of this ring's own, or from no page. Whoever is no browser sends no
`Origin`, and is not concerned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from aiohttp import web
from aiohttp.typedefs import Handler

from bazaar_peer.runtime.problems import Problem
from bazaar_peer.runtime.settings import ProcessSettings

HERE = frozenset({"127.0.0.1", "localhost", "[::1]"})
READING = frozenset({"GET", "HEAD", "OPTIONS"})
CHECK: web.AppKey[Callable[[web.BaseRequest], None]] = web.AppKey("CHECK")
"""For what no handler of ours answers, such as a path that is not there."""


def own_pages_only(
    settings: ProcessSettings, origins: Callable[[], Iterable[str]]
) -> Callable[[web.BaseRequest], None]:
    """Return the check that refuses, as a Problem, what a browser was made to ask.

    `origins`: of the pages that the ring serves. It is no middleware of aiohttp's: that costs a
    single buyer a twentieth (docs/performance.md).
    """
    names = None if settings.in_cluster else HERE | {settings.host}

    def check(request: web.BaseRequest) -> None:
        host = request.headers.get("Host", "").lower()
        if names is not None and _name(host) not in names:
            url = settings.client_url(settings.me)
            raise Problem(403, f"Host should be a name of this machine: use {url}", field="Host")
        origin = request.headers.get("Origin")
        if origin is not None and _changes(request):
            # An Ingress may have ended TLS.
            own = origin in {f"http://{host}", f"https://{host}"}
            if not own and origin not in origins():
                raise Problem(403, FOREIGN, field="Origin")

    return check


def checked(check: Callable[[web.BaseRequest], None], handler: Handler) -> Handler:
    """Return the handler behind the check."""

    async def answer(request: web.Request) -> web.StreamResponse:
        check(request)
        return await handler(request)

    return answer


def _name(host: str) -> str:
    """Return a Host header without its port."""
    end = host.find("]") + 1
    return host[:end] if end else host.partition(":")[0]


def _changes(request: web.BaseRequest) -> bool:
    """Tell whether it may change something; a WebSocket's handshake is a GET."""
    return request.method not in READING or "Upgrade" in request.headers


FOREIGN = (
    "Origin should be a page that this ring's peers serve: pages of other sites may change nothing "
    "here; a program leaves that header out"
)
