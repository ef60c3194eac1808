"""What every peer does for others: promise, accept Appends, acknowledge (R1–R6).

Safety rests here. A promise is raised in memory when its write is issued, and answered when that
write is durable, with the journal's end at that place of the queue (R4); a higher Append raises it
in the same sync as its entries (R2). The acknowledgement says min(verified, durable): `verified`
is how far this reign's Appends vouch for the own journal, never the journal's end (R6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bazaar_peer.core import messages as msg
from bazaar_peer.core.journal import chain_hash, check_fit
from bazaar_peer.core.records import UNREADABLE
from bazaar_peer.core.types import NOBODY, Nanos, PeerId, Position

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer


class Follower:
    """The follower's part of one peer."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.epoch = 0
        """Epoch of the reign whose Appends are accepted, 0 before the first."""
        self.trader = NOBODY
        self.heard_at: Nanos = 0
        self._patient_until: Nanos = 0
        self.quiet_since: Nanos = peer.now
        """When the trader was last heard, or lost, or this peer promised or started (N7)."""
        self.lost = True
        self.crashed = False
        """The trader stepped down, or a new connection to it was refused: proof (N3)."""
        self.copies: tuple[int, Nanos] = (0, 0)
        """(epoch, until when): the nominee that got this promise copies, and is left to it (N8)."""
        self.verified = 0
        self.round = 0
        self._acked_match = -1
        self._ack_now = False
        self._promised: tuple[int, int, PeerId, Position] | None = None
        """The promise to answer: (write's number, epoch, nominee, journal's end there).

        One at most: an earlier one is overtaken by it, and never answered (R4).
        """

    # ---- promises ----

    def on_i_won(self, sender: PeerId, message: msg.IWon) -> None:
        peer, epoch = self.peer, message.epoch
        hard = peer.disk.hard
        if not peer.seen_epoch(epoch):
            return
        taken = self.refuses_while_hearing(message.transfer) or self.awaits_copy()
        if taken and epoch > hard.promised:
            peer.send(sender, msg.TraderAlive(hard.promised, epoch))
        elif (epoch, sender) == (hard.promised, hard.promised_to):
            peer.nominator.restart_timer()  # N8
            if message.copies:
                self.copies = (epoch, peer.now + peer.timing.heartbeat_timeout)
            if self._promised is None:
                self._promised = (peer.disk.issued, epoch, sender, peer.journal.last)  # R3
                self.answer_promise()
        elif epoch <= hard.promised:
            peer.send(sender, msg.Refused(hard.promised))
        else:
            self.grant(epoch, sender, message.transfer)

    def refuses_while_hearing(self, transfer: int) -> bool:
        """N3: who hears a trader promises nothing, unless that trader itself hands over."""
        return self.peer.hearing() and transfer != self.peer.epoch

    def awaits_copy(self) -> bool:
        """N8: the nominee of the own promise copies; a rival's candidacy would only undo that.

        Rivals that do not see each other would else take turns at one voter, for ever, each for
        less time than its copy needs.
        """
        peer = self.peer
        epoch, until = self.copies
        return peer.nominee.source != NOBODY or (epoch == peer.epoch and peer.now < until)

    def spoken_for(self) -> bool:
        """Tell whether a trader is heard, or a nominee is getting on with it: no attempt is due."""
        return self.peer.hearing() or self.awaits_copy()

    def grant(self, epoch: int, nominee: PeerId, transfer: int = 0) -> None:
        """Promise, and answer once that is durable; `transfer` as in `IWon`."""
        peer = self.peer
        number = peer.promise(epoch, nominee)
        self.quiet_since = peer.now
        peer.nominator.on_promised(nominee)
        self._promised = (number, epoch, nominee, peer.journal.last)
        peer.note("promised", epoch=epoch, to=nominee, transfer=transfer)

    def answer_promise(self) -> None:
        """Answer the promise once it is durable, unless a higher one was given since (R4)."""
        peer = self.peer
        if self._promised is None or self._promised[0] > peer.disk.done:
            return
        (_, epoch, nominee, end), self._promised = self._promised, None
        if peer.promised_durably(epoch, nominee) and nominee != peer.me:
            peer.send(nominee, msg.Promise(epoch, end[0], end[1], peer.members.members))

    # ---- appends ----

    def on_append(self, sender: PeerId, message: msg.Append) -> None:
        peer = self.peer
        hard = peer.disk.hard
        if not peer.seen_epoch(message.epoch):
            return
        if message.epoch < hard.promised:
            peer.send(sender, msg.Refused(hard.promised))
            return
        if message.epoch == self.epoch and sender != self.trader:
            peer.note("second_trader", epoch=message.epoch, trader=self.trader, second=sender)
            return
        if (message.epoch, sender) != (self.epoch, self.trader):
            self._follow(message.epoch, sender)
        elif not self.hearing():
            peer.note("hears_again", epoch=self.epoch, trader=self.trader)
        self._hear(message)
        if peer.journal.epoch_at(message.prev_index) != message.prev_epoch:
            self._refuse(message)
            return
        end = self.take_records(message.records, message.prev_index, message.epoch)
        if end < 0 or peer.halted:
            return
        self.verified = max(self.verified, end)
        if not message.records or end <= self._acked_match:  # else its acknowledgement was lost
            self._ack_now = True
        peer.commit_to(min(message.commit, self.verified))

    def _follow(self, epoch: int, trader: PeerId) -> None:
        """Accept a reign's first Append: the promise follows it, in one sync (R2)."""
        peer = self.peer
        hard = peer.disk.hard
        if (epoch, trader) != (hard.promised, hard.promised_to):
            peer.promise(epoch, trader)
        peer.end_role(f"follows trader {trader}")
        peer.copying.stop()
        self.epoch, self.trader = epoch, trader
        self.verified = self.round = 0
        self.copies = (0, 0)
        self._acked_match = -1
        peer.note("follows", epoch=epoch, trader=trader)
        peer.nominator.reset()
        peer.ingress.new_reign()

    def _hear(self, message: msg.Append) -> None:
        peer = self.peer
        self.heard_at = self.quiet_since = peer.now
        self.lost = self.crashed = False
        self.round = max(self.round, message.round)
        peer.heard_commit = max(peer.heard_commit, message.commit)
        peer.keep_from(message.keep)
        peer.clock.merge(message.clock)

    def _refuse(self, message: msg.Append) -> None:
        """No match at prev: name a place where there may be one, never below the commit index."""
        journal = self.peer.journal
        hint = journal.floor_of(min(message.prev_index - 1, journal.last[1]))
        while hint > self.peer.commit and journal.epoch_at(hint) > message.prev_epoch:
            hint = journal.floor_of(hint - 1)
        hint = max(hint, self.peer.commit)
        self.peer.send(self.trader, msg.AppendRefused(message.epoch, message.round, hint))

    def take_records(self, blobs: list[bytes], prev: int, epoch: int) -> int:
        """Append what is new, truncate only at the first conflict (R6); return the verified end.

        Returns -1 for records that cannot be: malformed, or not one behind the other.
        """
        peer, end = self.peer, prev
        for blob in blobs:
            try:
                record = msg.decode_record(blob)
            except UNREADABLE:
                peer.note("bad_record", behind=end)
                return -1
            journal = peer.journal
            last = record.first + len(record.entries) - 1
            if record.first != end + 1 or not record.entries:
                peer.note("bad_record", behind=end, first=record.first)
                return -1
            if last <= journal.base[1] or journal.epoch_at(last) == record.epoch:
                end = last
                continue
            if record.first <= journal.last[1]:
                peer.truncate(record.first - 1)
                if peer.halted:
                    return -1
            wrong = check_fit(record, journal.last, epoch)
            if wrong:
                peer.note("bad_record", behind=end, why=wrong)
                return -1
            chain = chain_hash(journal.chain, blob)
            peer.add_record(msg.Stored(record.epoch, record.first, last, chain, blob), record)
            end = last
        return end

    @property
    def match(self) -> int:
        return min(self.verified, self.peer.disk.durable_index)

    @property
    def reign_committed(self) -> bool:
        """The followed trader's `EpochStarted` is committed; it was truly heard of late (R11)."""
        heard = self.peer.now < self.heard_at + self.peer.timing.heartbeat_timeout
        return heard and self.hearing() and self.peer.state.epoch == self.epoch

    def reign_of_own(self, epoch: int) -> None:
        """This peer begins to reign: a second sender of its epoch is refused like any other."""
        self.epoch, self.trader = epoch, self.peer.me
        self.lost, self.crashed = True, False
        self.quiet_since = self.peer.now

    def disk_done(self) -> None:
        if self._promised is not None:
            self.answer_promise()

    def flush(self) -> None:
        """Acknowledge once for all of this turn, while the promise is durably this trader's."""
        peer = self.peer
        match = self.match
        if not self._ack_now and match <= self._acked_match:
            return
        if self.trader in (NOBODY, peer.me) or not peer.promised_durably(self.epoch, self.trader):
            return
        beat, self._ack_now, self._acked_match = self._ack_now, False, match
        state = peer.state
        answer = msg.Appended(
            self.epoch,
            self.round,
            match,
            peer.clock.counts.copy() if beat else {},
            state.machine.version,
            state.index,
            state.hash,
        )
        peer.send(self.trader, answer)

    # ---- hearing ----

    def hearing(self) -> bool:
        """N3: accepted Appends of the promised epoch, lately, from a trader not known dead."""
        return not self.lost and self._is_promised() and self.peer.now < self.silent_at

    @property
    def silent_at(self) -> Nanos:
        """When the trader, if it is not heard again, has been silent for too long."""
        return max(self.heard_at + self.peer.timing.heartbeat_timeout, self._patient_until)

    def _is_promised(self) -> bool:
        """Tell whether the newest promise is to the reign that this peer follows."""
        hard = self.peer.disk.hard
        return (self.epoch, self.trader) == (hard.promised, hard.promised_to)

    def bear(self, due: Nanos, until: Nanos) -> bool:
        """Be patient with a trader that was heard when this peer was due; tell whether one was."""
        timeout = self.peer.timing.heartbeat_timeout
        if self.lost or not self._is_promised() or due > self.heard_at + timeout:
            return False
        self._patient_until = until
        self.quiet_since = max(self.quiet_since, until - timeout)
        return True

    def on_link_lost(self, peer: PeerId, refused: bool) -> None:
        if peer == self.peer.disk.hard.promised_to:
            self.copies = (0, 0)
        if refused and peer == self.trader and self.hearing():
            self._lose("connection refused")

    def on_stepped_down(self, sender: PeerId, message: msg.SteppedDown) -> None:
        """The trader's own word is proof like a refused connection: no reign is resumed (R1)."""
        if (sender, message.epoch) == (self.trader, self.epoch) and self.hearing():
            self._lose("stepped down")

    def _lose(self, why: str) -> None:
        self.lost = self.crashed = True
        self.quiet_since = self.peer.now
        self.peer.note("trader_lost", epoch=self.epoch, trader=self.trader, why=why)

    def on_state_differs(self, sender: PeerId, message: msg.StateDiffers) -> None:
        """H1: a majority computed another state; rebuild from the own checkpoint and journal."""
        if (sender, message.epoch) == (self.trader, self.epoch):
            self.peer.halt(f"state hash differs from a majority's at index {message.index}")
