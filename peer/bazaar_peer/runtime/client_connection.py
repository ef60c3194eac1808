"""One connection of a client: its errors are problems, and none of its requests waits for long."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from bazaar_peer.page.pages import allowing
from bazaar_peer.runtime import problems
from bazaar_peer.runtime.problems import Problem

if TYPE_CHECKING:
    from bazaar_peer.runtime.client_port import ClientPort

log = logging.getLogger("bazaar.api")

SLOW_S, BEHIND_MAX = 2.0, 15
"""Pipelined requests wait behind at most 15 others of 2 s each: the 30 s of R13 c."""
STALL_S = SLOW_S * BEHIND_MAX


class Connection(web.RequestHandler):
    """aiohttp's connection, which answers every error with a problem.

    It remembers how many stalls there were when it was accepted: one that was accepted before a
    stall was noticed, and begins after it, lay in the listen queue meanwhile (R13 c).
    """

    __slots__ = ("_born", "_port")

    def __init__(self, port: ClientPort, server: web.Server, **options: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._port, self._born = port, port.stalls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._born != self._port.stalls:
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer an exception of a handler, or a request that is not HTTP."""
        if isinstance(exc, Problem):
            response = exc.response()
            response.headers.update(allowing(request))
            return response
        if isinstance(exc, UnicodeEncodeError):
            status = 400  # a header's bytes that are no text, told back by aiohttp itself
        if status == 500:
            log.error("handler_failed", exc_info=exc, extra={"fields": {"path": request.path}})
        detail = (
            "this peer failed to handle the request"
            if status >= 500
            else "the request is not valid HTTP"
        )
        response = Problem(status, detail).response()
        response.force_close()
        return response

    def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Any:
        if isinstance(resp, web.HTTPException):
            try:
                self._port.check(request)
            except Problem as refused:
                resp = refused.response()
            resp = problems.from_http(resp)
        return super().finish_response(request, resp, start_time)


class Pipelining(AbstractAccessLogger):
    """Sees every answered request: closes a connection whose next ones have waited for long."""

    @property
    def enabled(self) -> bool:
        return True

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        protocol = request.protocol
        behind = len(protocol._messages)  # noqa: SLF001 - what was read and not begun
        if behind > BEHIND_MAX or time > STALL_S or (behind and time > SLOW_S):
            protocol.close()


class Refused(asyncio.Protocol):
    """A connection beyond the limit."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        out = cast(asyncio.Transport, transport)
        out.write(
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
            b"Retry-After: 1\r\nConnection: close\r\nContent-Length: 110\r\n\r\n"
            b'{"type":"about:blank","title":"Service Unavailable","status":503,'
            b'"detail":"too many connections to this peer"}'
        )
        out.close()
