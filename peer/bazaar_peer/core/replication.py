"""Replication: what each follower has, and what it is sent next (R5, R6, R9, C1).

A round numbers each moment at which Appends leave; the newest round that a majority has
acknowledged proves to reads (R12) and to the trader itself (N5 b) that it was still followed when
that round was sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bazaar_peer.core import messages as msg
from bazaar_peer.core import quorum
from bazaar_peer.core.effects import Send
from bazaar_peer.core.progress import NEAR, Progress
from bazaar_peer.core.types import SECOND, Nanos, PeerId

if TYPE_CHECKING:
    from bazaar_peer.core.agreement import Agreement
    from bazaar_peer.core.hand_over import HandOver
    from bazaar_peer.core.pace import Pace
    from bazaar_peer.core.peer import Peer
    from bazaar_peer.core.post import Post
    from bazaar_peer.core.reads import Reads

FLYING_MAX = 8
"""Appends with records that a follower may leave unacknowledged before it gets no more."""
ROUNDS_MAX = 4096
PARTING_TIMEOUTS = 10
SLOW_FOLLOWER: Nanos = 600 * SECOND
"""A follower unheard for so long no longer keeps the journal from being pruned (C1)."""


class Replication:
    """The part of `Trader` that keeps followers up to date."""

    peer: Peer
    post: Post
    reads: Reads
    hand_over: HandOver
    agreement: Agreement
    pace: Pace
    epoch: int
    started: int
    commit_moved_at: Nanos

    def forget_followers(self) -> None:
        self.work = False
        """A follower lacks what it can be sent."""
        self.round = 0
        self.round_sent_at: dict[int, Nanos] = {}
        self.progress: dict[PeerId, Progress] = {}
        self.parting: dict[PeerId, Nanos] = {}
        """Who was removed, and when: it still gets the commit of that, to learn that it may go."""
        self.heartbeat_at: Nanos = 0

    def advance(self) -> None:
        """Commit what a majority has; `Trader` does."""
        raise NotImplementedError

    def members_changed(self) -> None:
        """Follow who came and who went, as soon as the entry is in the journal (R9)."""
        peer = self.peer
        last = peer.journal.last[1]
        for other in peer.others:
            if other not in self.progress:
                self.progress[other] = Progress(last + 1, peer.now)
        gone = [p for p in self.progress if p not in peer.others]
        self.parting = {p: self.parting.get(p, peer.now) for p in gone}

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
            if behind and other not in sending and not self._rests(other):
                groups.setdefault(progress.next, []).append(other)
            elif beat:
                groups.setdefault(-progress.next, []).append(other)
        return groups

    def _rests(self, other: PeerId) -> bool:
        """Tell whether a learner that is not near gets nothing now: it takes one piece a time."""
        progress = self.progress[other]
        if other in self.peer.voters or progress.match + NEAR >= self.peer.commit:
            return False
        return progress.flying > 0 or other in self.pace.rests

    def _send(self, next_index: int, whom: tuple[PeerId, ...], *, with_records: bool) -> None:
        peer = self.peer
        peer.keep_from(self._keep())
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
            peer.keep_index,
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
            if message.match + NEAR < peer.commit:
                self.pace.taken(sender, progress.moved_at)
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

    def majority_round(self) -> int:
        """Return the newest round that a majority, this peer included, has accepted."""
        rounds = [
            self.round if voter == self.peer.me else self.progress[voter].round
            for voter in self.peer.voters
            if voter == self.peer.me or voter in self.progress
        ]
        return quorum.held_by_majority(rounds)

    def _part(self) -> None:
        """Send nothing more to who was removed long ago."""
        since = self.peer.now - PARTING_TIMEOUTS * self.peer.timing.heartbeat_timeout
        for gone in [p for p, at in self.parting.items() if at <= since]:
            del self.parting[gone], self.progress[gone]
