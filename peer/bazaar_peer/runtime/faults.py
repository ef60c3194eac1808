"""`POST /v1/faults`: what a person does to a peer of a ring on this machine, from the live page.

Any peer does it to any other, so that one which stands still can be resumed. It exists only where
`bazaar up` started the process for it (`ProcessSettings.hurts`); a pod never has it. What is done
is noted in the record, as something that came from outside.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
from aiohttp import web

from bazaar_peer.core.types import ordinal_of
from bazaar_peer.record.entries import FAULT, Fields
from bazaar_peer.runtime import processes
from bazaar_peer.runtime.bodies import body_of
from bazaar_peer.runtime.credential import authorize_admin
from bazaar_peer.runtime.drill_bodies import CUT_MAX_S, Fault
from bazaar_peer.runtime.problems import Problem, wrong
from bazaar_peer.runtime.settings import ProcessSettings

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer
    from bazaar_peer.record.recorder import Recorder
    from bazaar_peer.runtime.api import Handler
    from bazaar_peer.runtime.cut import Cut

log = logging.getLogger("bazaar.faults")

SIGNALS = {
    "killed": signal.SIGKILL,
    "paused": signal.SIGSTOP,
    "resumed": signal.SIGCONT,
}
FAREWELL_S = 0.1
"""This peer's own end waits until its answer is on its way."""
ASK_S = 2.0
_fault = msgspec.json.Decoder(Fault)


class Faults:
    """What can be done to the peers of this ring."""

    def __init__(
        self, peer: Peer, settings: ProcessSettings, recorder: Recorder | None, cut: Cut
    ) -> None:
        self.peer, self.settings, self.recorder = peer, settings, recorder
        cut.changed = self._note_cut

    async def post(self, request: web.Request) -> web.Response:
        """Do it; 409 if there is no such process here."""
        authorize_admin(request)
        asked = await body_of(request, _fault)
        lives = self._lives()
        if asked.peer not in lives:
            raise wrong("peer", f"a member: one of {', '.join(map(str, sorted(lives)))}")
        if asked.what in SIGNALS:
            await self._signal(asked, lives[asked.peer])
        else:
            others = sorted(set(lives) - {asked.peer}) if asked.what == "cut" else []
            await self._cut(asked.peer, others)
            self._log(asked)
        return web.json_response({"what": asked.what, "peer": asked.peer})

    async def _signal(self, asked: Fault, life: int) -> None:
        """Note it and do it: whom it is done to may not be able to note it.

        The log has it before it happens: `bazaar up` notes a death that no peer has noted.
        """
        number, ring = SIGNALS[asked.what], self.settings.ring
        pid = os.getpid()
        if asked.peer != self.settings.me:
            pid = await asyncio.to_thread(processes.pid_of, ring, asked.peer)
            if not pid:
                raise Problem(409, NOT_RUNNING.format(asked.peer))
        self.note({"what": asked.what, "of": life})
        self._log(asked)
        if asked.peer == self.settings.me:
            asyncio.get_running_loop().call_later(FAREWELL_S, os.kill, pid, number)
            return
        try:
            processes.send(pid, number, ring, asked.peer)
        except processes.NotOursError as why:
            raise Problem(409, str(why)) from why

    def _log(self, asked: Fault) -> None:
        log.warning("fault", extra={"fields": {"what": asked.what, "peer": asked.peer}})

    async def _cut(self, peer: int, others: list[int]) -> None:
        """Ask the peer itself: it heals on its own after a while (cut.py)."""
        url = f"{self.settings.client_url(peer)}/v1/cut"
        body: dict[str, Any] = {"peers": others, "seconds": CUT_MAX_S}
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_S)) as http,
                http.post(url, json=body) as answer,
            ):
                if answer.status != 200:
                    raise Problem(409, f"peer {peer} cannot be cut off: it answers {answer.status}")
        except (aiohttp.ClientError, TimeoutError):
            raise Problem(409, f"peer {peer} does not answer, so it cannot be cut off") from None

    def _note_cut(self, ordinals: frozenset[int], seconds: float) -> None:
        """Note that this peer is cut off, whoever asked for it, or that this is over."""
        told: Fields = {"what": "healed"}
        if ordinals:
            lives = self._lives()
            others = [lives.get(other, other) for other in sorted(ordinals)]
            told = {"what": "cut", "others": others, "seconds": seconds}
        self.note(told)

    def note(self, told: Fields) -> None:
        if self.recorder is not None:
            self.recorder.keep((time.monotonic_ns(), FAULT, told))

    def _lives(self) -> dict[int, int]:
        return {ordinal_of(member.id): member.id for member in self.peer.members.members}

    def routes(self) -> list[tuple[str, str, Handler]]:
        return [("POST", "/v1/faults", self.post)]


NOT_RUNNING = "peer {} is not running on this machine; `bazaar up` starts a killed one again"
