"""The trader's reign: replicate, count, commit, and step down when it cannot (R1, R5, R6, N5).

One batch is in flight at a time; the next is what arrived meanwhile (post.py). A round numbers
each moment at which Appends leave; the newest round that a majority has acknowledged proves to
reads (R12) and to the trader itself (N5 b) that it was still followed when that round was sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bazaar_peer.core import messages as msg
from bazaar_peer.core import quorum
from bazaar_peer.core.agreement import Agreement
from bazaar_peer.core.effects import Send
from bazaar_peer.core.hand_over import HandOver
from bazaar_peer.core.membership import Membership
from bazaar_peer.core.post import Post
from bazaar_peer.core.progress import Progress
from bazaar_peer.core.reads import Reads
from bazaar_peer.core.types import NOBODY, SECOND, Nanos, PeerId, Role

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer

FLYING_MAX = 8
"""Appends with records that a follower may leave unacknowledged before it gets no more."""
ROUNDS_MAX = 4096
PARTING_TIMEOUTS = 10
SLOW_FOLLOWER: Nanos = 600 * SECOND
"""A follower unheard for so long no longer keeps the journal from being pruned (C1)."""


class Trader:
    """The trader's part of one peer; inert while the peer has another role."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.post = Post(peer, self)
        self.reads = Reads(peer, self)
        self.hand_over = HandOver(peer, self)
        self.agreement = Agreement(peer)
        self.membership = Membership(peer, self)
        self.stop()

    def stop(self) -> None:
        self.epoch = 0
        self.started = 0
        """Index of the own `EpochStarted`; nothing below it commits by counting (Raft 5.4.2)."""
        self.open = False
        self.work = False
        """A follower lacks what it can be sent."""
        self.round = 0
        self.round_sent_at: dict[int, Nanos] = {}
        self.progress: dict[PeerId, Progress] = {}
        self.parting: dict[PeerId, Nanos] = {}
        """Who was removed, and when: it still gets the commit of that, to learn that it may go."""
        self.heartbeat_at: Nanos = 0
        self.commit_moved_at: Nanos = 0
        self.began_at: Nanos = 0
        self.post.stop()
        self.reads.stop()
        self.hand_over.stop()
        self.agreement.stop()
        self.membership.stop()

    def members_changed(self) -> None:
        """Follow who came and who went, as soon as the entry is in the journal (R9)."""
        peer = self.peer
        last = peer.journal.last[1]
        for other in peer.others:
            if other not in self.progress:
                self.progress[other] = Progress(last + 1, peer.now)
        gone = [p for p in self.progress if p not in peer.others]
        self.parting = {p: self.parting.get(p, peer.now) for p in gone}

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

    # ---- replication ----

    def flush(self) -> None:
        """Cut a batch if there may be one, and send everybody what it lacks."""
        peer = self.peer
        if self.post.pending:
            self.post.cut()
        beat = peer.now >= self.heartbeat_at or self.reads.wants_round()
        if not self.work and not beat:
            return
        self.work = False
        groups = self._groups(beat)
        if not groups and not beat:
            return
        self.round += 1
        self.round_sent_at[self.round] = peer.now
        if len(self.round_sent_at) > ROUNDS_MAX:
            for old in list(self.round_sent_at)[: ROUNDS_MAX // 2]:
                del self.round_sent_at[old]
        for next_index, whom in groups.items():
            self._send(abs(next_index), tuple(whom), with_records=next_index > 0)
        if beat:
            self.heartbeat_at = peer.now + peer.timing.heartbeat_interval
            self.reads.round_sent(self.round)

    def _groups(self, beat: bool) -> dict[int, list[PeerId]]:
        """Group followers by the next index they need; negative: only a heartbeat."""
        last = self.peer.journal.last[1]
        sending = self.peer.copying.sending
        groups: dict[int, list[PeerId]] = {}
        for other, progress in self.progress.items():
            behind = progress.next <= last and progress.flying < FLYING_MAX
            if behind and other not in sending:
                groups.setdefault(progress.next, []).append(other)
            elif beat:
                groups.setdefault(-progress.next, []).append(other)
        return groups

    def _send(self, next_index: int, whom: tuple[PeerId, ...], *, with_records: bool) -> None:
        peer = self.peer
        journal, prev = peer.journal, next_index - 1
        epoch = journal.epoch_at(prev)
        if prev < journal.base[1] or epoch < 0:
            for other in whom:
                peer.copying.begin_parts(other, self.epoch)
            prev, epoch = journal.last[1], journal.last[0]
            with_records = False  # a heartbeat all the same: it keeps the follower calm
        records = journal.behind(prev, peer.settings.chunk_bytes) if with_records else []
        append = msg.Append(
            self.epoch,
            self.round,
            epoch,
            prev,
            peer.commit,
            self._keep(),
            [stored.blob for stored in records],
            {} if records else peer.clock.counts.copy(),  # a record brings its own
        )
        peer.effects.append(Send(whom, append))
        if records:
            for other in whom:
                progress = self.progress[other]
                progress.next = records[-1].last + 1
                progress.flying += 1
                if progress.flying == 1:
                    progress.moved_at = peer.now

    def _keep(self) -> int:
        """Return up to where every follower heard lately has the journal (C1)."""
        since = self.peer.now - SLOW_FOLLOWER
        return min(
            (
                progress.match
                for other, progress in self.progress.items()
                if progress.accepted_at > since and other not in self.parting
            ),
            default=self.peer.commit,
        )

    def on_appended(self, sender: PeerId, message: msg.Appended) -> None:
        progress = self.progress.get(sender)
        if message.epoch != self.epoch or progress is None or message.round > self.round:
            return  # only answers of this reign count (R5)
        peer = self.peer
        if message.match > peer.journal.last[1]:
            return  # nobody can hold what was never written: it would commit the next batch unseen
        peer.clock.merge(message.clock)
        self._heard(progress, message.round)
        if message.match > progress.match:
            progress.match = message.match
            peer.copying.sending.pop(sender, None)
            progress.moved_at = self.commit_moved_at = peer.now  # who is needed comes nearer
            progress.next = max(progress.next, message.match + 1)
            progress.flying = 0 if progress.match + 1 == progress.next else progress.flying - 1
            progress.flying = max(progress.flying, 0)
            self.work = self.work or progress.next <= peer.journal.last[1]
            self.advance()
        self.agreement.report(sender, message)
        if self.reads.waiting:
            self.reads.answer()
        if self.hand_over.closed:
            self.hand_over.advance()

    def _heard(self, progress: Progress, number: int) -> None:
        """Note the newest round that a follower has seen, and when that round was sent."""
        if number > progress.round:
            progress.round = number
            sent_at = self.round_sent_at.get(number, 0)
            progress.accepted_at = max(progress.accepted_at, sent_at)

    def on_append_refused(self, sender: PeerId, message: msg.AppendRefused) -> None:
        progress = self.progress.get(sender)
        if message.epoch != self.epoch or progress is None or message.round > self.round:
            return
        self._heard(progress, message.round)
        journal, hint = self.peer.journal, message.hint
        if hint >= journal.base[1]:
            hint = journal.floor_of(hint)  # it may lie inside one of the own records
        if hint + 1 < progress.next:
            progress.next = max(hint, progress.match) + 1
            progress.flying = 0
            progress.moved_at = self.peer.now
            self.work = True
            if progress.next < progress.lowest:  # each step counts once, so they come to an end
                progress.lowest = progress.next
                self.commit_moved_at = self.peer.now

    def copy_advanced(self) -> None:
        """A copy on its way is progress: who lacks it may be needed for a majority (N5 c)."""
        self.commit_moved_at = self.peer.now

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

    def majority_round(self) -> int:
        """Return the newest round that a majority, this peer included, has accepted."""
        rounds = [
            self.round if voter == self.peer.me else self.progress[voter].round
            for voter in self.peer.voters
            if voter == self.peer.me or voter in self.progress
        ]
        return quorum.held_by_majority(rounds)

    # ---- requests of others ----

    def on_read_index(self, sender: PeerId, message: msg.ReadIndex) -> None:
        self.reads.ask(message.read, sender)

    # ---- stepping down ----

    def deadline(self) -> Nanos:
        return min(self.heartbeat_at, self.hand_over.deadline())

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
            why = self._failing(timeout)
            if why:
                peer.broadcast(msg.SteppedDown(self.epoch))
                self.step_down(why)
                return
        self.hand_over.tick()

    def _part(self) -> None:
        """Send nothing more to who was removed long ago."""
        since = self.peer.now - PARTING_TIMEOUTS * self.peer.timing.heartbeat_timeout
        for gone in [p for p, at in self.parting.items() if at <= since]:
            del self.parting[gone], self.progress[gone]

    def _failing(self, timeout: Nanos) -> str:
        peer = self.peer
        since = peer.now - timeout
        heard = {p for p, progress in self.progress.items() if progress.accepted_at > since}
        if not quorum.reached(peer.voters, {peer.me, *heard}):
            return "no majority accepted an Append in time"
        if not peer.disk.idle and peer.disk.stuck_since <= since:
            return "own disk stalled"
        if peer.journal.last[1] > peer.commit and self.commit_moved_at <= since:
            return "commit index stands still"
        return ""

    def step_down(self, why: str) -> None:
        """End the own reign: answer nothing more of its own (R1)."""
        peer = self.peer
        peer.note("stepped_down", epoch=self.epoch, why=why)
        peer.end_role(why)
        peer.nominator.restart_timer()
