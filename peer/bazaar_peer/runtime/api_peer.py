"""What this one peer is, for who looks after the whole ring (docs/http.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from bazaar_peer import __version__
from bazaar_peer.core.messages import Member
from bazaar_peer.core.types import NOBODY, PeerId, incarnation_of, ordinal_of
from bazaar_peer.runtime.api import Handler
from bazaar_peer.runtime.bodies import Formatting, body_of
from bazaar_peer.runtime.credential import CERTIFICATES, authorize_admin
from bazaar_peer.runtime.problems import Problem
from bazaar_peer.runtime.settings import ProcessSettings

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer

FORMATTED = {"outcome": "formatted"}
_formatting = msgspec.json.Decoder(Formatting)


class PeerView:
    """A peer that lives; waiting.py answers for one that does not."""

    def __init__(self, peer: Peer, settings: ProcessSettings, volume: str) -> None:
        self.peer, self.settings, self.volume = peer, settings, volume

    async def get(self, request: web.Request) -> web.Response:
        peer, admission = self.peer, self.peer.state.sessions.admission
        members, last = peer.state.members or peer.members, peer.journal.last
        told: dict[str, Any] = {
            "state": "serving",
            "why": "",
            "ring": self.settings.ring,
            "ordinal": ordinal_of(peer.me),
            "volume": self.volume,
            "release": __version__,
            "incarnation": incarnation_of(peer.me),
            "ready": peer.is_ready(),
            "role": "trader" if peer.is_trader else peer.role.value,
            "trader": shown(peer.trader),
            "epoch": peer.epoch,
            "commit_index": peer.commit_index,
            "applied_index": peer.state.index,
            "last_epoch": last[0],
            "last_index": last[1],
            "voter": peer.me in peer.voters,
            "size": admission.size,
            "generation": admission.generation,
            "waits": peer.trader_role.membership.waits if peer.is_trader else "",
            "members": [member_told(member) for member in members.members],
            "retired": list(members.retired),
        }
        if (certificates := request.app.get(CERTIFICATES)) is not None:
            told["tls"] = certificates.told()
        return web.json_response(told)

    async def format(self, request: web.Request) -> web.Response:
        """Answer a repeated `format` (R14): this volume is formatted, or another one is here."""
        authorize_admin(request)
        meant = await body_of(request, _formatting)
        own = (self.settings.ring, ordinal_of(self.peer.me), self.volume)
        if (meant.ring, meant.ordinal, meant.volume) != own:
            raise Problem(409, f"volume {meant.volume} is not here; this one serves already")
        return web.json_response(FORMATTED)

    def routes(self) -> list[tuple[str, str, Handler]]:
        return [("GET", "/v1/peer", self.get), ("POST", "/v1/format", self.format)]


def shown(peer: PeerId) -> int:
    """Return the ordinal by which people know a peer; -1 is nobody."""
    return peer if peer == NOBODY else ordinal_of(peer)


def member_told(member: Member) -> dict[str, Any]:
    """Show a member as all views of the ring do."""
    return {
        "id": ordinal_of(member.id),
        "incarnation": incarnation_of(member.id),
        "voter": member.voter,
        "volume": member.volume,
    }
