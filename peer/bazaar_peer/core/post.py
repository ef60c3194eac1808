"""The post: what is pending, cut into batches, ordered, written, and answered (T4).

A batch is whatever arrived while the one before was under way: cut by arrival, then ordered by the
machine. Nothing is answered from here but outcomes of committed entries (R13 e); a submission that
does not fit the queue is dropped, and its ingress sends it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bazaar_peer.core import messages as msg
from bazaar_peer.core.journal import store
from bazaar_peer.core.types import MS, Nanos, PeerId, Role

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer
    from bazaar_peer.core.trader import Trader

ELAPSED_MAX_MS = 60_000
"""And at most half of `key.retention`, or the first key after an idle time were expired."""


class Post:
    """The trader's queue. `origin` names who submitted what is pending or under way."""

    def __init__(self, peer: Peer, trader: Trader) -> None:
        self.peer = peer
        self.trader = trader
        self.stop()

    def stop(self) -> None:
        self.pending: list[msg.Submission] = []
        self.origin: dict[tuple[int, int], PeerId] = {}
        self.flying = 0
        """Last index of the batch under way; the next is cut once it is committed."""
        self.cut_at: Nanos = 0

    def begin(self) -> None:
        self.cut_at = self.peer.now

    def on_submit(self, sender: PeerId, message: msg.Submit) -> None:
        """Queue what another peer submits: as trader, and as nominee for the coming reign."""
        peer = self.peer
        if peer.role is Role.FOLLOWER:
            peer.send(sender, msg.NotTrader(peer.epoch, peer.trader))
            return
        peer.clock.merge(message.clock)
        for submission in message.submissions:
            self.offer(submission, sender)

    def offer(self, sub: msg.Submission, sender: PeerId) -> None:
        """Queue a submission, or answer at once what is committed already."""
        peer, name = self.peer, (sub.session, sub.number)
        if peer.state.sessions.has_opened(sub):
            return  # it finds its session where it applies the open: another would open nothing
        known = peer.state.lookup_number(*name)
        if known is not None:
            self._tell(sender, [msg.Answer(sub.session, sub.number, *known)])
            return
        if name in self.origin:
            self.origin[name] = sender
            return
        if len(self.pending) >= peer.settings.queue_max:
            peer.note("queue_full", pending=len(self.pending))
            return
        self.origin[name] = sender
        self.pending.append(sub)

    def cut(self) -> None:
        """Cut, order and write the next batch, if the one before is committed."""
        peer, trader = self.peer, self.trader
        if not self.pending or not trader.open or self.flying > peer.commit:
            return
        if trader.hand_over.closed:
            return
        batch = self.pending[: peer.settings.batch_max]
        self.pending = self.pending[peer.settings.batch_max :]
        ordered = peer.state.machine.order(batch)
        if len(batch) > 1 and ordered != batch:
            peer.note("batch_reordered", size=len(batch))
        self.write(list(ordered))

    def write(self, entries: list[msg.Entry]) -> None:
        """Append one record of the own reign: an index is used once (R7)."""
        peer = self.peer
        journal = peer.journal
        most = min(ELAPSED_MAX_MS, peer.state.sessions.limits.key_retention_ms // 2)
        elapsed = min((peer.now - self.cut_at) // MS, most)
        self.cut_at += elapsed * MS if elapsed < most else peer.now - self.cut_at
        last = journal.last[1]
        if last == peer.commit:
            self.trader.commit_moved_at = peer.now
        record = msg.Record(
            self.trader.epoch,
            last + 1,
            peer.commit,
            elapsed,
            peer.clock.counts.copy(),
            entries,
        )
        peer.add_record(store(record, journal.chain), record)
        self.flying = last + len(entries)
        self.trader.work = True

    def answer(self, answers: list[msg.Answer]) -> None:
        """Tell other peers what their submissions came to; the own ingress knows already."""
        by_peer: dict[PeerId, list[msg.Answer]] = {}
        me, origin = self.peer.me, self.origin
        for answer in answers:
            sender = origin.pop((answer.session, answer.number), me)
            if sender != me:
                by_peer.setdefault(sender, []).append(answer)
        for sender, told in by_peer.items():
            self._tell(sender, told)

    def _tell(self, sender: PeerId, answers: list[msg.Answer]) -> None:
        peer = self.peer
        if sender == peer.me:
            peer.ingress.answered(answers)
        else:
            peer.send(sender, msg.Answers(self.trader.epoch, peer.commit, answers))
