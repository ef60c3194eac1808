"""The trader's reign: count, commit, and step down when it cannot (R1, R5, N5).

One batch is in flight at a time; the next is what arrived meanwhile (post.py). What followers are
sent, and what they have, is replication.py's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bazaar_peer.core import messages as msg
from bazaar_peer.core import quorum
from bazaar_peer.core.agreement import Agreement
from bazaar_peer.core.hand_over import HandOver
from bazaar_peer.core.membership import Membership
from bazaar_peer.core.pace import Pace
from bazaar_peer.core.post import Post
from bazaar_peer.core.progress import Progress
from bazaar_peer.core.reads import Reads
from bazaar_peer.core.replication import Replication
from bazaar_peer.core.types import NEVER, NOBODY, Nanos, PeerId, Role

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer


class Trader(Replication):
    """The trader's part of one peer; inert while the peer has another role."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.post = Post(peer, self)
        self.reads = Reads(peer, self)
        self.hand_over = HandOver(peer, self)
        self.agreement = Agreement(peer)
        self.membership = Membership(peer, self)
        self.pace = Pace(peer)
        self.stop()

    def stop(self) -> None:
        self.epoch = 0
        self.started = 0
        """Index of the own `EpochStarted`; nothing below it commits by counting (Raft 5.4.2)."""
        self.open = False
        self.forget_followers()
        self.commit_moved_at: Nanos = 0
        self._patient_until: Nanos = 0
        self.began_at: Nanos = 0
        self.post.stop()
        self.reads.stop()
        self.hand_over.stop()
        self.agreement.stop()
        self.membership.stop()
        self.pace.stop()

    def begin(self, epoch: int) -> None:
        """Begin the reign with `EpochStarted`; caller duty: R8's and R9's conditions hold."""
        peer = self.peer
        assert peer.promised_durably(epoch, peer.me)
        peer.role = Role.TRADER
        peer.follower.reign_of_own(epoch)
        self.epoch = epoch
        self.began_at = self.commit_moved_at = self.heartbeat_at = peer.now
        last = peer.journal.last[1]
        self.progress = {other: Progress(last + 1, peer.now) for other in peer.others}
        self.started = last + 1
        self.post.begin()
        self.post.write([msg.EpochStarted(peer.me)])
        peer.note("epoch_started", epoch=epoch, index=self.started)
        peer.nominator.reset()
        peer.ingress.new_reign()
        self.advance()

    # ---- commit ----

    def advance(self) -> None:
        """Commit what is durable on a majority, if it is of this reign (R5, Raft 5.4.2)."""
        peer = self.peer
        if not peer.promised_durably(self.epoch, peer.me):
            return
        own, progress = peer.disk.durable_index, self.progress
        commit = quorum.held_by_majority(
            [
                progress[v].match if v in progress else own if v == peer.me else 0
                for v in peer.voters
            ]
        )
        if commit <= peer.commit or commit < self.started:
            return
        self.commit_moved_at = peer.now
        if commit > peer.disk.durable_index:
            peer.note("committed_without_own_disk", index=commit)
        if not self.open:
            self._open(commit)
        peer.commit_to(commit)
        self.hand_over.advance()
        self.membership.advance()

    def _open(self, commit: int) -> None:
        """The reign is committed: see what followers told before it was, and what was wished."""
        peer = self.peer
        self.open = True
        peer.note("reign_begun", epoch=self.epoch, index=commit, ns=peer.now - self.began_at)
        self.agreement.raise_version()
        if peer.leaving:
            self.hand_over.begin(NOBODY)

    def applied(self, answers: list[msg.Answer]) -> None:
        self.post.answer(answers)
        self.agreement.remember(self.peer.state.index, self.peer.state.hash)

    # ---- requests of others ----

    def on_read_index(self, sender: PeerId, message: msg.ReadIndex) -> None:
        self.reads.ask(message.read, sender)

    # ---- stepping down ----

    def deadline(self) -> Nanos:
        return min(self.heartbeat_at, self.hand_over.deadline(), self.pace.deadline())

    def tick(self) -> None:
        """Watch the own reign (N5), and send again what a follower seems to have lost."""
        peer, timeout = self.peer, self.peer.timing.heartbeat_timeout
        if peer.now >= self.heartbeat_at:
            for progress in self.progress.values():
                silent = peer.now - progress.moved_at > timeout
                if silent and progress.flying:
                    progress.next = progress.match + 1 if progress.match else self.started
                    progress.flying, progress.moved_at = 0, peer.now
                    self.work = True
            peer.copying.expire()
            self._part()
            self.membership.advance()
            if peer.now >= self._patient_until:
                self.hand_over.prefer()
                if why := self._failing(peer.now - timeout):
                    peer.broadcast(msg.SteppedDown(self.epoch))
                    self.step_down(why)
                    return
        self.hand_over.tick()
        for learner in self.pace.rested():
            self.work = True
            peer.copying.go_on(learner)

    def bear(self, due: Nanos, until: Nanos) -> bool:
        """Be patient with a reign that went on when this peer was due; tell whether it did."""
        if self._failing(due - self.peer.timing.heartbeat_timeout):
            return False
        self._patient_until = until
        self.hand_over.preferred_at = NEVER
        return True

    def _failing(self, since: Nanos) -> str:
        """Return why this reign does not go on since then, or nothing (N5)."""
        peer = self.peer
        if not self.accepted_since(since):
            return "no majority accepted an Append in time"
        if not peer.disk.idle and peer.disk.stuck_since <= since:
            return "own disk stalled"
        if peer.journal.last[1] > peer.commit and self.commit_moved_at <= since:
            return "commit index stands still"
        return ""

    def accepted_since(self, since: Nanos) -> bool:
        """Tell whether a majority has accepted an Append since then."""
        heard = {p for p, progress in self.progress.items() if progress.accepted_at > since}
        return quorum.reached(self.peer.voters, {self.peer.me, *heard})

    def step_down(self, why: str) -> None:
        """End the own reign: answer nothing more of its own (R1)."""
        peer = self.peer
        peer.note("stepped_down", epoch=self.epoch, why=why)
        peer.end_role(why)
        peer.nominator.restart_timer()
