"""Who should be a member: the wish for a size, and the volumes that ask to join (R10, R14).

Part of the replicated state, so that whoever trades next goes on with the same change. Both come as
commands, through any peer and exactly once; what became of them is a committed outcome. Nothing
here changes the members: the trader does, one voter an entry (core/membership.py).
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from bazaar_peer.core.records import SET_SIZE, MembersChanged, Submission
from bazaar_peer.core.types import PeerId, name_of, ordinal_of

PEERS_MAX = 96
ASKED_MS = 5000
"""A request to join is forgotten when it was not repeated for so much log time: who asked is gone,
and must not take its place from a peer that is down a day later."""
VOLUME_MAX = 64


class Size(Struct, frozen=True, array_like=True):
    """A wish: so many peers, ordinals 0 … size - 1; an older generation is refused (R10)."""

    size: int
    generation: int


class Join(Struct, frozen=True, array_like=True):
    """A volume without a place in the ring asks for one (R14)."""

    ordinal: int
    volume: str


_decode_size = msgspec.msgpack.Decoder(Size).decode
_decode_join = msgspec.msgpack.Decoder(Join).decode


class Admission:
    """`size` and `generation` of the newest wish.

    `joins`: ordinal → (volume that asks, log time when it last did).
    """

    def __init__(self) -> None:
        self.size = self.generation = 0
        self.joins: dict[int, tuple[str, int]] = {}
        self.lives: frozenset[str] = frozenset()
        """Names of all members: nobody else opens a peer's session."""

    def asking(self, ordinal: int) -> str:
        """Return the volume that asks for this place, or nothing."""
        return self.joins.get(ordinal, ("", 0))[0]

    def leaves_out(self, life: PeerId) -> bool:
        """Tell whether the newest wish has no place for this peer: it is to begin nothing more."""
        return 0 < self.size <= ordinal_of(life)

    def forget(self, log_time: int) -> None:
        """Forget who has not asked again for long."""
        since = log_time - ASKED_MS
        self.joins = {i: asked for i, asked in self.joins.items() if asked[1] >= since}

    def execute(self, sub: Submission, log_time: int) -> bytes:
        """Apply a wish or a volume's request; return the outcome, a JSON object."""
        if len(sub.body) > 2 * VOLUME_MAX:
            return _told("invalid")
        try:
            if sub.kind == SET_SIZE:
                return self._set_size(_decode_size(sub.body))
            return self._join(_decode_join(sub.body), log_time)
        except ValueError:
            return _told("invalid")

    def _set_size(self, wish: Size) -> bytes:
        now = {"size": self.size, "generation": self.generation}
        if not 1 <= wish.size <= PEERS_MAX:
            return _told("invalid", **now)
        if (wish.size, wish.generation) == (self.size, self.generation):
            return _told("wished", **now)
        if wish.generation <= self.generation:
            return _told("older_generation", **now)
        self.size, self.generation = wish.size, wish.generation
        self.joins = {i: asked for i, asked in self.joins.items() if i < self.size}
        return _told("wished", size=self.size, generation=self.generation)

    def _join(self, join: Join, log_time: int) -> bytes:
        if not join.volume or len(join.volume) > VOLUME_MAX:
            return _told("invalid")
        if not 0 <= join.ordinal < self.size:
            return _told("not_wanted", size=self.size)
        self.joins[join.ordinal] = (join.volume, log_time)
        return _told("noted", ordinal=join.ordinal)

    def members_changed(self, members: MembersChanged) -> None:
        """Forget the requests of volumes that have their place; the first members are the wish.

        So are those of a recovered ring: who asked before asked a ring that is gone.
        """
        self.lives = frozenset(name_of(member.id) for member in members.members)
        if members.recovered_from:
            self.joins = {}
        if members.recovered_from or not self.size:
            self.size = len(members.members)
        for member in members.members:
            if self.asking(ordinal_of(member.id)) == member.volume != "":
                del self.joins[ordinal_of(member.id)]


def _told(outcome: str, **more: int) -> bytes:
    return msgspec.json.encode({"outcome": outcome, **more})
