"""This peer's requests: numbered, stamped, carried over failovers until their deadline (R13).

Every command gets a number in this peer's own session (or brings one of a client's session), is
submitted to whoever reigns, and submitted again, unchanged, on a reign's first Append, on a
reconnect and when its answer is missing for a heartbeat timeout. It is answered by the outcome of
a committed entry, or at its deadline: never sent (503), or unknown (504).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.outstanding import Outstanding
from bazaar_peer.core.types import MS, NEVER, NOBODY, Nanos, PeerId, Role, name_of
from bazaar_peer.core.vector_clock import sealed
from bazaar_peer.core.waiting import Waiting, digest_of

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer

SCAN: Nanos = 50 * MS
"""Deadlines and missing answers are looked for this often."""


class Ingress(Outstanding):
    """Requests of this peer's clients. `own`: by number in the peer's session, lowest first."""

    def __init__(self, peer: Peer) -> None:
        self.session = 0
        self.next = 1
        super().__init__(peer)
        self.outbox: list[Waiting] = []
        self.scan_at: Nanos = NEVER
        self.opening: Waiting | None = None

    def sessions_waiting(self) -> tuple[int, ...]:
        """Return the sessions in which this peer waits for outcomes."""
        own = (self.session,) if self.own else ()
        return (*own, *(name[0] for name in self.foreign)) if self.foreign else own

    # ---- commands ----

    def command(self, event: ev.Command) -> None:
        if self.count >= self.peer.settings.ingress_max:
            self._reply(event.request, Status.BUSY)
        elif not self._admit(event):
            self.parked[event.request] = event
            self._scan_soon()

    def _admit(self, event: ev.Command) -> bool:
        """Number and send a command; False: it must wait."""
        peer = self.peer
        if event.after_index > peer.state.index or not peer.clock.can_stamp() or not self.session:
            return False
        if event.session:
            return self._admit_numbered(event)
        limits = peer.state.sessions.limits
        floor = next(iter(self.own), self.next)
        if self.next >= floor + limits.peer_window:
            self._reply(event.request, Status.BUSY)
            return True
        digest = digest_of(event.kind, event.body)
        if event.key and self._known_key(event, digest):
            return True
        number = self.next
        self.next += 1
        waiting = self._waiting(event, self.session, number, floor, digest)
        self.own[number] = waiting
        self._submit(waiting)
        return True

    def _known_key(self, event: ev.Command, digest: int) -> bool:
        """Answer from the applied state what a key came to before (R13 c)."""
        known = self.peer.state.lookup_key(event.client, event.key)
        if known is None:
            return False
        if known[0] != digest:
            self._reply(event.request, Status.OTHER_BODY)
        else:
            answer = msg.Answer(self.session, 0, digest, Status.OK, known[1], known[2], known[3])
            self._reply(event.request, Status.OK, answer)
        return True

    def _admit_numbered(self, event: ev.Command) -> bool:
        """Take a command in a client's own session, known to the applied state (R13 a)."""
        peer, name = self.peer, (event.session, event.number)
        session = peer.state.sessions.sessions.get(event.session)
        if session is None or session.owner >= 0:
            if event.session > peer.state.index:
                return False  # opened by an entry that is still to come here
            self._reply(event.request, Status.NO_SESSION)
            return True
        digest = digest_of(event.kind, event.body)
        known = session.results.get(event.number)
        floor = max(session.floor, event.floor)
        if known is not None and known[0] == digest:
            self._reply(event.request, known[1], msg.answer_of(name, known))
        elif known is not None:
            self._reply(event.request, Status.OTHER_BODY)
        elif not floor <= event.number < floor + session.window:
            self._reply(event.request, Status.OUT_OF_WINDOW)
        else:
            waiting = self._waiting(event, event.session, event.number, event.floor, digest)
            self.foreign.setdefault(name, []).append(waiting)
            self._submit(waiting)
        return True

    def _waiting(
        self, event: ev.Command, session: int, number: int, floor: int, digest: int
    ) -> Waiting:
        peer = self.peer
        sub = msg.Submission(
            session,
            number,
            floor,
            event.kind,
            event.client,
            event.key,
            digest,
            peer.state.sessions.log_time,
            *sealed(peer.clock.stamp()),
            event.body,
        )
        waiting = Waiting(event.request, event.deadline, sub)
        if event.request:
            self.requests[event.request] = waiting
        return waiting

    def _submit(self, waiting: Waiting) -> None:
        """Hand a submission to the own post, or put it into the next message to the trader."""
        peer = self.peer
        if self.scan_at == NEVER:
            self._scan_soon()
        if peer.role is not Role.FOLLOWER:
            waiting.sent_at, waiting.ever = peer.now, True
            peer.trader_role.post.offer(waiting.sub, peer.me)
        else:
            self.outbox.append(waiting)

    def flush(self) -> None:
        """Send what gathered in this turn in one message."""
        if not self.outbox:
            return
        peer, outbox = self.peer, self.outbox
        self.outbox = []
        if peer.role is not Role.FOLLOWER:
            for waiting in outbox:
                self._submit(waiting)
            return
        trader = peer.trader
        if trader == NOBODY or trader not in peer.linked:
            return  # a reign's first Append or the scan sends them
        for waiting in outbox:
            waiting.sent_at, waiting.ever = peer.now, True
        subs = [waiting.sub for waiting in outbox]
        peer.send(trader, msg.Submit(subs, peer.clock.counts.copy()))

    # ---- answers ----

    def answered(self, answers: Iterable[msg.Answer]) -> None:
        """Take outcomes of committed entries, applied here or told by the trader."""
        for answer in answers:
            if answer.session == self.session:
                waiting = self.own.pop(answer.number, None)
                if waiting is not None:
                    self._resolve(waiting, answer)
            elif self.foreign:
                for waiting in self.foreign.pop((answer.session, answer.number), ()):
                    self._resolve(waiting, answer)

    def _resolve(self, waiting: Waiting, answer: msg.Answer) -> None:
        if answer.digest != waiting.sub.digest:
            self._reply(waiting.request, Status.OTHER_BODY)
        elif answer.status == Status.NO_SESSION and waiting.sub.session == self.session:
            self._reply(waiting.request, Status.UNKNOWN)
        else:
            self._reply(waiting.request, answer.status, answer)

    def on_answers(self, sender: PeerId, message: msg.Answers) -> None:
        """Take the trader's word for what is committed: it lets this peer apply as far."""
        peer, follower = self.peer, self.peer.follower
        if (message.epoch, sender) == (follower.epoch, follower.trader):
            peer.heard_commit = max(peer.heard_commit, message.commit)
            peer.commit_to(min(message.commit, follower.verified))
        self.answered(message.answers)

    def on_not_trader(self, sender: PeerId, message: msg.NotTrader) -> None:
        """Wait for a reign: nothing is forwarded from guess to guess (row 52)."""
        self.peer.seen_epoch(message.epoch)

    def state_advanced(self) -> None:
        """After an apply: the own session may be open, and what waited for an index may go on."""
        if not self.session:
            self._find_session()
        if self.parked:
            self._unpark()
        self.reader.serve()

    def state_replaced(self) -> None:
        """A checkpoint took the state's place: look every request up in it."""
        peer = self.peer
        for waiting in [*self.own.values(), *(w for ws in self.foreign.values() for w in ws)]:
            name = (waiting.sub.session, waiting.sub.number)
            known = peer.state.lookup_number(*name)
            if known is not None:
                self.answered([msg.answer_of(name, known)])
        self.state_advanced()

    def read(self, event: ev.Read) -> None:
        if self.count >= self.peer.settings.ingress_max:
            self._reply(event.request, Status.BUSY)
        else:
            self.reader.read(event)
            self._scan_soon()

    def _unpark(self) -> None:
        parked, self.parked = self.parked, {}
        for request, event in parked.items():
            if not self._admit(event):
                self.parked[request] = event

    # ---- the own session ----

    def _name(self) -> str:
        return name_of(self.peer.me)

    def disk_done(self) -> None:
        """The boot number is durable: a session may be opened with it (R13 a)."""
        peer = self.peer
        boot = peer.disk.durable_hard.boot
        if self.opening is None and not self.session and boot == peer.disk.hard.boot:
            sub = msg.Submission(
                -1 - peer.clock.me,
                boot,
                1,
                msg.OPEN_PEER,
                self._name(),
                "",
                0,
                0,
                *sealed(peer.clock.counts),
                b"",
            )
            self.opening = Waiting(0, NEVER, sub)
            self._submit(self.opening)
        if self.parked:
            self._unpark()

    def _find_session(self) -> None:
        boot, session = self.peer.state.sessions.peers.get(self._name(), (0, 0))
        if boot == self.peer.disk.hard.boot:
            self.session, self.opening = session, None
            self.peer.note("session_open", session=session)

    # ---- again ----

    def new_reign(self) -> None:
        """A reign began: whatever is unanswered goes to it (R13 e)."""
        self._submit_all(0)

    def on_link_up(self, peer: PeerId) -> None:
        if peer == self.peer.trader:
            self._submit_all(0)

    def _submit_all(self, older_than: Nanos) -> None:
        """Submit again, unchanged, what was last sent before this time (0: everything)."""
        everything = [*self.own.values(), *(w for ws in self.foreign.values() for w in ws)]
        if self.opening is not None:
            everything.append(self.opening)
        self.outbox = []
        for waiting in everything:
            if not older_than or waiting.sent_at < older_than:
                self._submit(waiting)
        peer = self.peer
        self.reader.ask_again()
        if everything and not older_than:
            peer.note("submitted_again", count=len(everything))

    # ---- time ----

    def _scan_soon(self) -> None:
        self.scan_at = min(self.scan_at, self.peer.now + SCAN)

    def tick(self) -> None:
        peer = self.peer
        if peer.now >= self.scan_at:
            self.scan_at = NEVER
            self.flush()  # the scan looks at when things were sent, not at what is about to be
            self._expire()
            self._submit_all(max(1, peer.now - peer.timing.heartbeat_timeout))
            if self.count or self.opening is not None:
                self._scan_soon()
