"""A peer's log as it lies on its disk, archive included: what an audit of a running ring reads.

It shows whose every command is and how often it came, so it takes the ring's token. Files are read
in a thread, a bounded slice at a time, at most `READERS_MAX` of them at once: neither the loop nor
the store waits for a reader.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from bazaar_peer.core.types import incarnation_of, ordinal_of
from bazaar_peer.runtime.api import Handler, json_response
from bazaar_peer.runtime.bodies import integer_in, query_integer
from bazaar_peer.runtime.credential import authorize_admin
from bazaar_peer.runtime.log_files import ORIGIN, LogFiles, archive_place
from bazaar_peer.runtime.problems import Problem
from bazaar_peer.runtime.settings import ProcessSettings

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer

SEGMENTS_SHOWN = 1000
SEGMENT_MAX = 10**12 - 1
READERS_MAX = 2


class LogView:
    """The segments of this peer's present life."""

    def __init__(self, peer: Peer, settings: ProcessSettings) -> None:
        self.peer, self.ring = peer, settings.ring
        volume = Path(settings.volume) if settings.volume else None
        archive = None
        if settings.archive:
            archive = archive_place(Path(settings.archive), incarnation_of(peer.me))
        self._files = LogFiles(volume, archive)
        self._readers = asyncio.Semaphore(READERS_MAX)

    async def segments(self, request: web.Request) -> web.Response:
        """List the segments behind a number, so many at a time."""
        authorize_admin(request)
        after = query_integer(request, "after", 0)
        async with self._readers:
            found = await asyncio.to_thread(self._files.segments, after, SEGMENTS_SHOWN)
        told = {
            "ring": self.ring,
            "peer": ordinal_of(self.peer.me),
            "incarnation": incarnation_of(self.peer.me),
            "recovered": await asyncio.to_thread(lambda: self._files.origin is not None),
            "segments": [segment._asdict() for segment in found],
        }
        return json_response(json.dumps(told).encode(), self.ring, self.peer.state.index)

    async def segment(self, request: web.Request) -> web.Response:
        """Answer with a segment's bytes behind an offset, as many as a slice holds."""
        authorize_admin(request)
        number = integer_in(request.match_info["segment"], "segment", ORIGIN, SEGMENT_MAX)
        after = query_integer(request, "after", 0)
        async with self._readers:
            found = await asyncio.to_thread(self._files.read, number, after)
        if found is None:
            raise Problem(404, "there is no such segment, or it was dropped: list them again")
        return web.Response(body=found, content_type="application/octet-stream")

    def routes(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", "/v1/log", self.segments),
            ("GET", "/v1/log/{segment}", self.segment),
        ]
