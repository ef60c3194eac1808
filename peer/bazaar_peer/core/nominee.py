"""Investiture: from a nomination to a reign, or to nothing (R1, R3, R8, R9).

    own promise durable → IWon to all → promises of a majority → best journal copied → reign

The nominee goes on only when its own last position *equals* the best promised one (R8). It stops
for good, never to resume its epoch, when it does not get on for an election timeout, sees a higher
epoch, or its role is ended by a promise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bazaar_peer.core import messages as msg
from bazaar_peer.core import quorum
from bazaar_peer.core.effects import Send
from bazaar_peer.core.types import NOBODY, Nanos, PeerId, Position, Role

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer


SPLIT_STEPS = 2
"""A nominee with a rival waits so long for promises: both must not wait out a split of them."""


class Nominee:
    """The candidacy of one peer for one epoch."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.stop()

    def stop(self) -> None:
        self.epoch = 0
        self.transfer = 0
        self.asked = False
        self.whom: dict[PeerId, bool] = {}
        """Who was asked: the voters of the own journal, then those of the best one, too (R9)."""
        self.promises: dict[PeerId, msg.Promise] = {}
        self.refusals: dict[PeerId, bool] = {}
        """Who promised this epoch to somebody else, and so will never promise it here (R3)."""
        self.source = NOBODY
        """Owner of the best journal, while something is copied from it."""
        self.until: Nanos = 0
        self.again_at: Nanos = 0
        self.started_at: Nanos = 0
        self.furthest: Position = (-1, -1)
        """(index, part): what is copied again is no progress until it is further."""
        self.calm_at: Nanos = 0
        """When to tell those who promised that the copy advances (N8)."""

    def start(self, transfer: int) -> None:
        """Stand for the next epoch; `transfer` names the epoch of a trader that hands over."""
        peer = self.peer
        self.stop()
        epoch = 1 + max(peer.epoch_max, peer.disk.hard.promised)
        peer.promise(epoch, peer.me)
        self.epoch, self.transfer = epoch, transfer
        self.started_at = peer.now
        self.until = peer.now + peer.timing.heartbeat_timeout
        peer.role = Role.NOMINEE
        peer.note("nominee", epoch=epoch, transfer=transfer)

    def advance(self) -> None:
        """Go on after a disk write: first ask, then perhaps reign."""
        peer = self.peer
        if not peer.promised_durably(self.epoch, peer.me):
            return
        if not self.asked:
            self.asked = True
            self.ask(tuple(v for v in peer.voters if v != peer.me))
        self._decide()

    def ask(self, whom: tuple[PeerId, ...]) -> None:
        """Send `IWon`; again every step until the election timeout (N3, N8)."""
        peer = self.peer
        self.whom.update(dict.fromkeys(whom, True))
        won = msg.IWon(self.epoch, self.transfer, end=peer.journal.last)
        peer.effects.append(Send(whom, won))
        wait = peer.timing.retry if peer.follower.crashed else peer.timing.step
        self.again_at = peer.now + wait

    def on_promise(self, sender: PeerId, message: msg.Promise) -> None:
        if message.epoch != self.epoch or not self.asked:
            return
        self.refusals.pop(sender, None)  # it refused something older
        if sender not in self.promises:
            self.promises[sender] = message
            self._decide()

    def on_refused(self, sender: PeerId, epoch: int) -> None:
        """Stop as soon as no majority can come any more, and soon if one may not."""
        peer = self.peer
        if epoch > self.epoch:
            self.fail(f"peer {sender} promised epoch {epoch}")
        elif sender not in self.promises:
            self.refusals[sender] = True
            able = {peer.me, *self.promises, *peer.linked} - set(self.refusals)
            if not quorum.reached(self.electorate(self.best()[1]), able):
                self.fail(f"no majority is left to promise epoch {epoch}")
            elif self.source == NOBODY:  # who is silent for so long may be gone, not only slow
                self.until = min(self.until, peer.now + SPLIT_STEPS * peer.timing.step)

    def best(self) -> tuple[Position, PeerId]:
        """Return the best journal promised, the own one first among equals (R9)."""
        found, owner = self.peer.journal.last, self.peer.me
        for sender, promise in self.promises.items():
            if (promise.last_epoch, promise.last_index) > found:
                found, owner = (promise.last_epoch, promise.last_index), sender
        return found, owner

    def electorate(self, owner: PeerId) -> tuple[PeerId, ...]:
        """Return the voters that the best journal names: a majority of *them* is needed (R9)."""
        if owner == self.peer.me:
            return self.peer.voters
        return tuple(PeerId(m.id) for m in self.promises[owner].members if m.voter)

    def _decide(self) -> None:
        """With promises of a majority, copy what the best journal has more, then reign."""
        peer = self.peer
        if not self.asked or not peer.promised_durably(self.epoch, peer.me):
            return
        position, owner = self.best()
        if self.source != NOBODY:
            return  # copying; another best is chosen when that ends
        voters = self.electorate(owner)
        if not quorum.reached(voters, {peer.me, *self.promises}):
            if owner != peer.me:
                self._widen(voters)
            return
        if peer.me not in voters:
            self.fail("no voter any more, by the best journal")
        elif owner == peer.me:
            assert peer.journal.last == position
            self._reign()
        else:
            self.fetch_from(owner)

    def _widen(self, voters: tuple[PeerId, ...]) -> None:
        """Ask the voters, too, that the best journal names and the own does not (R9)."""
        peer = self.peer
        if not quorum.reached(voters, {peer.me, *self.promises, *peer.linked}):
            self.fail("too few of the voters that the best journal names are reached")
            peer.nominator.give_way()
            return
        unasked = tuple(v for v in voters if v != peer.me and v not in self.whom)
        if unasked:
            peer.note("widened", epoch=self.epoch, voters=len(voters))
            self.ask(unasked)

    def fetch_from(self, owner: PeerId) -> None:
        """Ask the best journal's owner for what lies behind the own end (R8)."""
        if self.source == NOBODY:
            self.source = owner
            self.copy_advanced((0, 0))
        epoch, index = self.peer.journal.last
        self.peer.send(owner, msg.Fetch(self.epoch, epoch, index))
        self.again_at = self.peer.now + self.peer.timing.step

    def on_chunk(self, sender: PeerId, message: msg.Chunk) -> None:
        """Take records behind prev, dropping what conflicts; every chunk is checked (R8)."""
        peer = self.peer
        if message.epoch != self.epoch or sender != self.source:
            return
        if message.hint >= 0:
            self._step_back(message.hint)
            return
        if peer.journal.epoch_at(message.prev_index) != message.prev_epoch:
            return
        end = peer.follower.take_records(message.records, message.prev_index, message.epoch)
        if end < 0 or peer.halted:
            self.fail("the best journal's owner sent what cannot be")
            return
        self.caught_up(end)

    def caught_up(self, end: int) -> None:
        """Go on when a piece of the copy, up to this index, has come in."""
        peer = self.peer
        promise = self.promises[self.source]
        self.copy_advanced((end, 0))
        if peer.journal.last == (promise.last_epoch, promise.last_index):
            self.source = NOBODY
            self._decide()
        else:
            self.fetch_from(self.source)

    def copy_advanced(self, place: Position) -> None:
        """Go on for another election timeout, and let those who promised wait as long (N8)."""
        peer = self.peer
        if self.source == NOBODY or place <= self.furthest:
            return
        self.furthest = place
        self.until = peer.now + peer.timing.heartbeat_timeout
        if peer.now >= self.calm_at:
            self.calm_at = peer.now + peer.timing.heartbeat_interval
            calm = msg.IWon(self.epoch, self.transfer, copies=True, end=peer.journal.last)
            peer.effects.append(Send(tuple(self.promises), calm))

    def _step_back(self, hint: int) -> None:
        """The source has no record that ends where ours does: ask from a common place."""
        peer = self.peer
        index = peer.journal.floor_of(max(hint, peer.commit))
        epoch = peer.journal.epoch_at(index)
        peer.send(self.source, msg.Fetch(self.epoch, epoch, index))
        self.again_at = peer.now + peer.timing.step

    def _reign(self) -> None:
        peer = self.peer
        waited = peer.now - self.started_at
        peer.note("invested", epoch=self.epoch, promises=len(self.promises) + 1, ns=waited)
        epoch = self.epoch
        self.stop()
        peer.trader_role.begin(epoch)

    def on_trader_alive(self, sender: PeerId, message: msg.TraderAlive) -> None:
        """Somebody still hears the trader that is gone: ask again soon (N3)."""
        if message.asked == self.epoch and self.peer.follower.crashed:
            self.again_at = min(self.again_at, self.peer.now + self.peer.timing.retry)

    def fail(self, why: str) -> None:
        """Give the epoch up; a new nomination follows after the usual wait."""
        peer = self.peer
        peer.note("nominee_failed", epoch=self.epoch, why=why)
        peer.end_role(why)
        peer.nominator.own_candidacy_failed()

    def deadline(self) -> Nanos:
        return min(self.until, self.again_at) if self.asked else self.until

    def tick(self) -> None:
        peer = self.peer
        if peer.now >= self.until:
            self.fail("no majority within the election timeout")
        elif self.asked and peer.now >= self.again_at:
            if self.source != NOBODY:
                self.fetch_from(self.source)
            else:
                silent = tuple(p for p in self.whom if p not in self.promises)
                self.ask(silent)
