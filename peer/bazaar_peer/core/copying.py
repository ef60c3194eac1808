"""Catch-up beyond appends: a nominee's source (R8), and checkpoints part by part (C3, C4).

The source serves (epoch, nominee) only while its durable promise is exactly that, and each chunk
carries prev. A checkpoint travels one part at a time, each asked for by the acknowledgement of the
one before, and for a learner after a rest, so that trading is not disturbed; it is taken only from
the trader followed or from the own candidacy's source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.effects import ReadPart, StorePart
from bazaar_peer.core.records import UNREADABLE
from bazaar_peer.core.state import State
from bazaar_peer.core.types import NOBODY, Nanos, PeerId

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer


class Copying:
    """Both ends of a copy: `sending` says for which epoch each peer gets parts."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.sending: dict[PeerId, tuple[int, Nanos]] = {}
        """Receiver → (epoch, when the last part was asked for or sent)."""
        self.furthest: dict[PeerId, tuple[int, int, int]] = {}
        """Receiver → (epoch, base, part): a copy begun anew is no progress until it is further."""
        self.waiting: dict[PeerId, int] = {}
        """Learner that rests → its next part."""
        self.stop()

    def stop(self) -> None:
        self.sending.clear()
        self.waiting.clear()
        self._state: State | None = None
        self._base = 0
        self._next = 0

    # ---- source ----

    def on_fetch(self, sender: PeerId, message: msg.Fetch) -> None:
        peer = self.peer
        if not peer.promised_durably(message.epoch, sender):
            if message.epoch < peer.epoch:
                peer.note("fetch_refused", epoch=message.epoch, promised=peer.epoch)
                peer.send(sender, msg.Refused(peer.epoch))
            return
        journal, after = peer.journal, message.after_index
        if after <= journal.base[1] and (message.after_epoch, after) != journal.base:
            self.begin_parts(sender, message.epoch)
        elif journal.epoch_at(after) != message.after_epoch:
            hint = journal.floor_of(min(after - 1, journal.last[1]))
            while hint > journal.base[1] and journal.epoch_at(hint) > message.after_epoch:
                hint = journal.floor_of(hint - 1)
            chunk = msg.Chunk(message.epoch, 0, 0, [], hint)
            peer.send(sender, chunk)
        else:
            records = [s.blob for s in journal.behind(after, peer.settings.chunk_bytes)]
            peer.send(sender, msg.Chunk(message.epoch, message.after_epoch, after, records))

    def begin_parts(self, to: PeerId, epoch: int) -> None:
        """Start to send the newest checkpoint, unless it is on its way already."""
        peer = self.peer
        if to not in peer.linked:
            return  # nothing would reach it; whoever lacks records asks again
        at = self.sending.get(to)
        if at is not None and at[0] == epoch and peer.now - at[1] < peer.timing.heartbeat_timeout:
            return
        peer.note("checkpoint_sent", to=to, index=peer.saved_index)
        self._read(to, epoch, 0)

    def expire(self) -> None:
        """Forget copies that got stuck: a lost part is begun anew."""
        since = self.peer.now - self.peer.timing.heartbeat_timeout
        for to in [to for to, (_, at) in self.sending.items() if at < since]:
            del self.sending[to]

    def _read(self, to: PeerId, epoch: int, number: int) -> None:
        self.sending[to] = (epoch, self.peer.now)
        self.peer.effects.append(ReadPart(to, number))

    def part_read(self, event: ev.PartRead) -> None:
        epoch, _ = self.sending.get(event.peer, (0, 0))
        if epoch != self.peer.epoch or not event.data:
            self.sending.pop(event.peer, None)
            return
        part = msg.Part(
            epoch, event.base_epoch, event.base_index, event.number, event.last, event.data
        )
        self.peer.send(event.peer, part)

    def on_part_taken(self, sender: PeerId, message: msg.PartTaken) -> None:
        epoch, asked_at = self.sending.get(sender, (0, 0))
        if epoch == message.epoch == self.peer.epoch and message.number >= 0:
            place = (epoch, message.base_index, message.number)
            if place > self.furthest.get(sender, (0, 0, 0)):
                self.furthest[sender] = place
                self.peer.trader_role.copy_advanced()
            pace = self.peer.trader_role.pace
            pace.taken(sender, asked_at)
            if sender in pace.rests:
                self.sending[sender] = (epoch, pace.rests[sender])
                self.waiting[sender] = message.number + 1
            else:
                self._read(sender, epoch, message.number + 1)

    def go_on(self, to: PeerId) -> None:
        """Send a learner that has rested its next part."""
        number = self.waiting.pop(to, 0)
        if number and to in self.sending:
            self._read(to, self.sending[to][0], number)

    # ---- receiver ----

    def on_part(self, sender: PeerId, message: msg.Part) -> None:
        """Restore the next part; the last one installs the checkpoint."""
        peer = self.peer
        if not self._from_source(sender, message.epoch):
            return
        if message.base_index <= peer.commit:
            return  # C3
        if message.number == 0:
            self._state, self._base, self._next = State(peer.make_machine), message.base_index, 0
        state = self._state
        if state is None or (message.base_index, message.number) != (self._base, self._next):
            return
        try:
            state.restore(message.data)
        except (*UNREADABLE, TypeError, LookupError) as wrong:
            peer.note("bad_checkpoint", index=message.base_index, why=str(wrong))
            self._state = None
            return
        if why := state.beyond_release():
            self._state = None
            peer.halt(why)  # nothing of it is installed: the volume stays as it was
            return
        self._next += 1
        peer.effects.append(StorePart(message.base_index, message.number, message.data))
        if message.last:
            self._install(state, message)
        else:
            peer.nominee.copy_advanced((message.base_index, message.number))
            peer.send(sender, msg.PartTaken(message.epoch, message.base_index, message.number))

    def _from_source(self, sender: PeerId, epoch: int) -> bool:
        peer = self.peer
        if sender == peer.nominee.source and epoch == peer.nominee.epoch != 0:
            return True
        follower = peer.follower
        return (epoch, sender) == (follower.epoch, follower.trader) and epoch == peer.epoch

    def _install(self, state: State, message: msg.Part) -> None:
        """Put the restored state in the place of the own; keep a suffix that fits (C3)."""
        peer, self._state = self.peer, None
        base = (message.base_epoch, message.base_index)
        if state.position != base or state.members is None:
            peer.note("bad_checkpoint", index=base[1], why="header and parts disagree")
            return
        keep = peer.journal.epoch_at(base[1]) == base[0]
        if keep:
            peer.journal.prune(base[1])
        else:
            peer.journal.rebase(base, state.chain, state.members)
        peer.disk.install(base[0], base[1], state.chain, keep, peer.commit, peer.now)
        peer.state = state
        peer.commit = peer.commit if keep and peer.commit > base[1] else base[1]
        peer.members_changed()
        peer.clock.merge(state.clock)
        peer.note("checkpoint_installed", epoch=base[0], index=base[1])
        peer.ingress.state_replaced()
        if peer.nominee.source != NOBODY:
            peer.nominee.caught_up(base[1])
        elif message.epoch == peer.follower.epoch:
            peer.follower.verified = max(peer.follower.verified, base[1])
