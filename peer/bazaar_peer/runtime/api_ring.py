"""The ring itself: who is in it, who should be, and who goes (R10, R11, R14)."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from bazaar_peer.core.admission import Join, Size
from bazaar_peer.core.events import Resign
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.records import JOIN, SET_SIZE, Member
from bazaar_peer.core.types import NOBODY, PeerId, name_of, ordinal_of
from bazaar_peer.runtime.api import Commands, Handler, authorize, json_response
from bazaar_peer.runtime.api_peer import member_told, shown
from bazaar_peer.runtime.bodies import Admission, Resignation, Wish, body_of
from bazaar_peer.runtime.credential import CERTIFICATES, authorize_admin
from bazaar_peer.runtime.problems import Problem, problem_of, wrong
from bazaar_peer.runtime.settings import ProcessSettings

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer
    from bazaar_peer.runtime.driver import Driver

_resignation = msgspec.json.Decoder(Resignation)
_wish = msgspec.json.Decoder(Wish)
_admission = msgspec.json.Decoder(Admission)
OLDER = (
    "generation {} is older than {}, the newest wish: somebody else has wished since; "
    "look at GET /v1/ring, then wish with a generation above that"
)


class RingView:
    """The ring as this peer knows it, and the wishes that change it."""

    def __init__(
        self, driver: Driver, peer: Peer, settings: ProcessSettings, commands: Commands
    ) -> None:
        self.driver, self.peer, self.settings = driver, peer, settings
        self.commands = commands

    # ---- what it is

    async def ring(self, request: web.Request) -> web.Response:
        """The committed members; of the others this peer knows address and suspicion."""
        authorize(request)
        certified = request.app.get(CERTIFICATES) is not None
        peer, admission = self.peer, self.peer.state.sessions.admission
        members = peer.state.members or peer.members
        told = {
            "index": peer.state.index,
            "ring": self.settings.ring,
            "trader": shown(peer.trader),
            "epoch": peer.epoch,
            "commit_index": peer.commit_index,
            "size": admission.size,
            "generation": admission.generation,
            "waits": peer.trader_role.membership.waits if peer.is_trader else "",
            "retired": list(members.retired),
            "peers": [self._row(member, certified=certified) for member in members.members],
        }
        return json_response(json.dumps(told).encode(), self.settings.ring, peer.state.index)

    def _row(self, member: Member, *, certified: bool) -> dict[str, Any]:
        peer, mine = self.peer, member.id == self.peer.me
        row: dict[str, Any] = {
            **member_told(member),
            "url": self.settings.client_url(ordinal_of(member.id)),
            "suspected": not mine and PeerId(member.id) not in peer.linked,
        }
        if certified:
            row["https"] = self.settings.https_url(ordinal_of(member.id))
        return row | (self._own() if mine else {})

    def _own(self) -> dict[str, Any]:
        peer = self.peer
        return {
            "pid": os.getpid(),
            "role": "trader" if peer.is_trader else self.settings.role or "none",
            "trader": shown(peer.trader),
            "epoch": peer.epoch,
            "applied_index": peer.state.index,
            "clock": {name_of(part): n for part, n in sorted(peer.clock.counts.items())},
            "syncs": self.driver.disk.syncs,
        }

    # ---- what it should be

    async def members(self, request: web.Request) -> web.Response:
        """Wish for a size: the trader goes there, one member at a time (R10)."""
        authorize_admin(request)
        wish = await body_of(request, _wish)
        told = await self._noted(request, SET_SIZE, Size(wish.size, wish.generation))
        if told["outcome"] == "older_generation":
            raise Problem(409, OLDER.format(wish.generation, told["generation"]))
        return self._answer(told)

    async def admit(self, request: web.Request) -> web.Response:
        """Note that a volume asks for a place (R14); asking again does no harm."""
        authorize_admin(request)
        asks = await body_of(request, _admission)
        return self._answer(await self._noted(request, JOIN, Join(asks.ordinal, asks.volume)))

    async def _noted(self, request: web.Request, kind: int, wish: Size | Join) -> dict[str, Any]:
        """Commit a wish; return what came of it."""
        caller = self.commands.caller(request)
        body = msgspec.msgpack.encode(wish)
        reply = await self.commands.outcome(self.commands.event(caller, body, kind))
        if reply.status != Status.OK or reply.answer is None:
            raise problem_of(reply.status)
        told: dict[str, Any] = msgspec.json.decode(reply.answer.body)
        return told

    def _answer(self, told: dict[str, Any]) -> web.Response:
        return json_response(msgspec.json.encode(told), self.settings.ring, self.peer.state.index)

    # ---- who goes

    async def resign(self, request: web.Request) -> web.Response:
        """Hand the reign over (R11); only the trader can."""
        authorize_admin(request)
        given = await body_of(request, _resignation) if request.can_read_body else Resignation()
        if not self.peer.is_trader:
            raise Problem(409, self._not_trader())
        successor = NOBODY
        if given.successor is not msgspec.UNSET:
            voters = {ordinal_of(voter): voter for voter in self.peer.voters}
            if given.successor not in voters:
                raise wrong("successor", f"a voter: one of {', '.join(map(str, voters))}")
            successor = voters[given.successor]
        self.driver.submit(Resign(leaving=False, successor=successor))
        return web.Response(
            status=202, body=b'{"resigning":true}', headers={"Content-Type": "application/json"}
        )

    def _not_trader(self) -> str:
        trader = shown(self.peer.trader)
        if trader < 0:
            return "this peer is not the trader, and knows of none now; try again soon"
        return f"only the trader resigns; ask peer {trader} at {self.settings.client_url(trader)}"

    def routes(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", "/v1/ring", self.ring),
            ("POST", "/v1/members", self.members),
            ("POST", "/v1/admit", self.admit),
            ("POST", "/v1/resign", self.resign),
        ]
