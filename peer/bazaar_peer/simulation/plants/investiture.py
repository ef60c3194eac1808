"""Planted bugs of promises, nominees and their catch-up (R1–R4, R8, R9, R11)."""

from __future__ import annotations

from typing import Any

import msgspec

from bazaar_peer.core import follower as follower_module
from bazaar_peer.core import messages as msg
from bazaar_peer.core import quorum
from bazaar_peer.core.copying import Copying
from bazaar_peer.core.follower import Follower
from bazaar_peer.core.nominee import Nominee
from bazaar_peer.core.peer import Peer
from bazaar_peer.core.types import NOBODY, Role
from bazaar_peer.simulation.plants.registry import Patch, plant


@plant
def volpromise() -> list[Patch]:
    """A promise is answered before it is durable (R4)."""

    def answer(self: Follower) -> None:
        assert self._promised is not None
        (_, epoch, nominee, end), self._promised = self._promised, None
        if nominee != self.peer.me:
            members = self.peer.members.members
            self.peer.send(nominee, msg.Promise(epoch, end[0], end[1], members))

    grant = Follower.grant

    def at_once(self: Follower, epoch: int, nominee: Any) -> None:
        grant(self, epoch, nominee)
        self.answer_promise()

    return [(Follower, "answer_promise", answer), (Follower, "grant", at_once)]


@plant
def reprom() -> list[Patch]:
    """One epoch is promised to two nominees (R3)."""
    inner = Follower.on_i_won

    def on_i_won(self: Follower, sender: Any, message: msg.IWon) -> None:
        hard = self.peer.disk.hard
        if message.epoch == hard.promised and sender != hard.promised_to:
            self.grant(message.epoch, sender)
        else:
            inner(self, sender, message)

    return [(Follower, "on_i_won", on_i_won)]


@plant
def reuse() -> list[Patch]:
    """A restarted nominee stands for the epoch that it promised to itself (R1)."""
    inner = Nominee.start

    def start(self: Nominee, transfer: int) -> None:
        peer = self.peer
        hard = peer.disk.hard
        inner(self, transfer)
        if hard.promised_to == peer.me and peer.follower.epoch == 0:
            self.epoch = hard.promised
            peer.disk.write_hard(hard, peer.now)

    return [(Nominee, "start", start)]


@plant
def resume() -> list[Patch]:
    """A restarted trader goes on in its epoch (R7)."""
    inner = Peer.__init__

    def init(self: Peer, *arguments: Any) -> None:
        inner(self, *arguments)
        hard = self.disk.durable_hard
        if hard.promised_to == self.me:
            self.trader_role.begin(hard.promised)

    return [(Peer, "__init__", init)]


@plant
def nocatchup() -> list[Patch]:
    """A nominee reigns without the best journal (R8)."""

    def decide(self: Nominee) -> None:
        peer = self.peer
        if self.asked and quorum.reached(peer.voters, [peer.me, *self.promises]):
            self._reign()

    return [(Nominee, "_decide", decide)]


@plant
def badbest() -> list[Patch]:
    """The best journal is the longest, whatever its last epoch (R9)."""

    def best(self: Nominee) -> Any:
        found, owner = self.peer.journal.last, self.peer.me
        for sender, promise in self.promises.items():
            if promise.last_index > found[1]:
                found, owner = (promise.last_epoch, promise.last_index), sender
        return found, owner

    return [(Nominee, "best", best)]


@plant
def keeprole() -> list[Patch]:
    """Granting a promise does not end the own reign (R1)."""
    inner = Peer.end_role

    def end_role(self: Peer, why: str) -> None:
        if not (self.role is Role.TRADER and why.startswith("promised")):
            inner(self, why)

    return [(Peer, "end_role", end_role)]


@plant
def nofence() -> list[Patch]:
    """A follower goes back to a lower epoch (R2)."""
    inner = Follower.on_append

    def on_append(self: Follower, sender: Any, message: msg.Append) -> None:
        disk, epoch = self.peer.disk, message.epoch
        if epoch < disk.hard.promised:
            hard = msgspec.structs.replace(disk.hard, promised=epoch, promised_to=sender)
            disk.write_hard(hard, self.peer.now)
        inner(self, sender, message)

    return [(Follower, "on_append", on_append)]


def unfenced() -> list[Patch]:
    def flush(self: Follower) -> None:
        peer, match = self.peer, self.match
        if self.trader in {NOBODY, peer.me} or not (self._ack_now or match > self._acked_match):
            return
        self._ack_now, self._acked_match = False, match
        clock = peer.clock.counts.copy()
        peer.send(self.trader, msg.Appended(self.epoch, self.round, match, clock, 1, 0, 0))

    return [(Follower, "flush", flush)]


@plant
def overtake() -> list[Patch]:
    """A promise overtakes the journal, and the older reign is still acknowledged (R4)."""
    grant = Follower.grant

    def early(self: Follower, epoch: int, nominee: Any) -> None:
        grant(self, epoch, nominee)
        index = self.peer.journal.floor_of(self.peer.disk.durable_index)
        end = (self.peer.journal.epoch_at(index), index)
        assert self._promised is not None
        self._promised = (*self._promised[:3], end)

    return [(Follower, "grant", early), *unfenced()]


@plant
def appendnopromise() -> list[Patch]:
    """Accepting an Append does not raise the promise (R2)."""
    inner = Follower._follow

    def follow(self: Follower, epoch: int, trader: Any) -> None:
        promise, self.peer.promise = self.peer.promise, lambda *_: 0  # type: ignore[method-assign]
        inner(self, epoch, trader)
        self.peer.promise = promise  # type: ignore[method-assign]

    return [(Follower, "_follow", follow), *unfenced()]


@plant
def handover() -> list[Patch]:
    """A successor begins on the old trader's word (R11)."""
    inner = Nominee._decide

    def decide(self: Nominee) -> None:
        if self.asked and self.transfer:
            self._reign()
        else:
            inner(self)

    return [(Nominee, "_decide", decide)]


def unguarded() -> list[Patch]:
    """The source serves whatever it has promised since, and newer records fit, too."""
    inner = Copying.on_fetch

    def on_fetch(self: Copying, sender: Any, message: msg.Fetch) -> None:
        self.peer.promised_durably = lambda *_: True  # type: ignore[method-assign]
        inner(self, sender, message)
        del self.peer.promised_durably

    def caught_up(self: Nominee, end: int) -> None:
        self.copy_advanced((end, 0))
        promise = self.promises[self.source]
        if self.peer.journal.last >= (promise.last_epoch, promise.last_index):
            self.source = NOBODY
            self._decide()
        else:
            self.fetch_from(self.source)

    return [
        (Copying, "on_fetch", on_fetch),
        (Nominee, "caught_up", caught_up),
        (follower_module, "check_fit", lambda record, last, epoch: ""),
    ]


@plant
def fetch() -> list[Patch]:
    """The source serves a nominee after it promised a higher epoch (R8, row 10)."""
    return unguarded()


@plant
def fetchnoprev() -> list[Patch]:
    """Chunks are copied by index, without a look at prev (R8, row 11)."""

    def on_fetch(self: Copying, sender: Any, message: msg.Fetch) -> None:
        peer, after = self.peer, message.after_index
        records = [s.blob for s in peer.journal.behind(after, peer.settings.chunk_bytes)]
        if after >= peer.journal.base[1]:
            peer.send(sender, msg.Chunk(message.epoch, message.after_epoch, after, records))

    return [*unguarded()[1:], (Copying, "on_fetch", on_fetch)]
