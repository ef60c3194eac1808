"""`POST /v1/pause`: a process that stands still for some seconds, for drills.

Nothing in a pod can stop the pod's first process, and a drill is given no rights on the node. So
the peer stops its own loop: whoever it has a connection with gets no answer, as after SIGSTOP, and
it goes on by itself. What it has handed to the disk is still written, which an answer would need to
show. It exists where `POST /v1/cut` does (`ProcessSettings.drills`).
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from bazaar_peer.record.entries import Fields
from bazaar_peer.runtime.bodies import body_of
from bazaar_peer.runtime.credential import authorize_admin
from bazaar_peer.runtime.drill_bodies import Stillness
from bazaar_peer.runtime.problems import Problem

if TYPE_CHECKING:
    from bazaar_peer.runtime.api import Handler

log = logging.getLogger("bazaar.pause")

FAREWELL_S = 0.05
"""The answer is on its way by then."""
REST_S = 0.5
"""It runs for so long before the next one: what was asked for meanwhile must not add up."""

_stillness = msgspec.json.Decoder(Stillness)


class Pause:
    """`note`: takes what came from outside into the record."""

    def __init__(self, note: Callable[[Fields], None]) -> None:
        self._note = note
        self._free_at = 0.0

    async def post(self, request: web.Request) -> web.Response:
        authorize_admin(request)
        asked = await body_of(request, _stillness)
        if time.monotonic() < self._free_at:
            raise Problem(409, "another pause is under way, or was until now: ask again in 1 s")
        self._free_at = math.inf
        log.warning("pause", extra={"fields": {"seconds": asked.seconds}})
        asyncio.get_running_loop().call_later(FAREWELL_S, self._stand_still, asked.seconds)
        return web.json_response({"seconds": asked.seconds})

    def _stand_still(self, seconds: float) -> None:
        self._note({"what": "paused", "seconds": seconds})
        time.sleep(seconds)
        self._note({"what": "resumed"})
        self._free_at = time.monotonic() + REST_S

    def routes(self) -> list[tuple[str, str, Handler]]:
        return [("POST", "/v1/pause", self.post)]
