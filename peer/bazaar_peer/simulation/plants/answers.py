"""Planted bugs of what clients are told, and of submissions carried over reigns (R13 c–e)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bazaar_peer.core import messages as msg
from bazaar_peer.core.ingress import Ingress
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.outstanding import Outstanding
from bazaar_peer.core.peer import Peer
from bazaar_peer.core.post import Post
from bazaar_peer.core.sessions import Sessions
from bazaar_peer.core.types import MS, NOBODY, Role
from bazaar_peer.simulation.plants.registry import Patch, plant
from bazaar_peer.simulation.world import World

if TYPE_CHECKING:
    from bazaar_peer.simulation.host import Host


def busy(sub: msg.Submission) -> msg.Answer:
    return msg.Answer(sub.session, sub.number, sub.digest, Status.BUSY, 0, 0, b"")


@plant
def failed_on_stepping_down() -> list[Patch]:
    """A trader that is deposed tells those whom it has not answered that they failed (row 28)."""
    inner = Peer.end_role

    def end_role(self: Peer, why: str) -> None:
        if self.role is Role.TRADER:
            records = [msg.decode_record(stored.blob) for stored in self.journal.records]
            entries = [entry for record in records for entry in record.entries]
            for sub in entries:
                if isinstance(sub, msg.Submission):
                    sender = self.trader_role.post.origin.get((sub.session, sub.number), self.me)
                    if sender != self.me:
                        self.send(sender, msg.Answers(self.epoch, 0, [busy(sub)]))
        inner(self, why)

    return [(Peer, "end_role", end_role)]


@plant
def full_queue_refuses() -> list[Patch]:
    """A trader whose queue is full answers 429 instead of nothing (row 63)."""
    inner = Post.offer

    def offer(self: Post, sub: msg.Submission, sender: Any) -> None:
        inner(self, sub, sender)
        known = self.peer.state.lookup_number(sub.session, sub.number)
        if known is None and (sub.session, sub.number) not in self.origin:
            self._tell(sender, [busy(sub)])

    return [(Post, "offer", offer)]


@plant
def submitted_once() -> list[Patch]:
    """A reign's first Append is no reason to submit again (row 64)."""
    return [(Ingress, "new_reign", lambda self: None)]


@plant
def refusal_of_the_key() -> list[Patch]:
    """A 429 refuses the key for ever, and not only the submission that it answers (row 77)."""
    inner = Sessions._keyed

    def keyed(self: Sessions, sub: Any, machine: Any, at: Any) -> Any:
        refused = self.__dict__.setdefault("refused", {})
        outcome = refused.get((sub.client, sub.key)) or inner(self, sub, machine, at)
        if outcome[1] == Status.KEYS_FULL:
            refused[sub.client, sub.key] = outcome
        return outcome

    return [(Sessions, "_keyed", keyed)]


@plant
def stalled_sockets_read() -> list[Patch]:
    """What lay in the sockets of a peer that slept for long is read after all (row 75)."""
    inner = World.wake

    def wake(self: World, number: int) -> None:
        host: Host = self.hosts[number]
        unread = [entry for entry in host.backlog if type(entry[1]).__name__ == "Command"]
        host.backlog = [entry for entry in host.backlog if entry not in unread]
        inner(self, number)
        for life, event in unread:
            self.push(self.now + 20 * MS, number, life, event)

    return [(World, "wake", wake)]


@plant
def forwarded_again() -> list[Patch]:
    """Who does not trade passes a submission on to whom it takes for the trader (row 52)."""
    inner = Post.on_submit

    def on_submit(self: Post, sender: Any, message: msg.Submit) -> None:
        peer = self.peer
        if peer.role is Role.FOLLOWER and peer.trader != NOBODY:
            peer.send(peer.trader, message)
        else:
            inner(self, sender, message)

    return [(Post, "on_submit", on_submit)]


@plant
def sent_called_never_sent() -> list[Patch]:
    """At its deadline a command is told 503, whether it was sent or not (rows 63 and 77)."""

    def give_up(self: Outstanding, waiting: Any) -> None:
        self._reply(waiting.request, Status.NEVER_SENT)

    return [(Outstanding, "_give_up", give_up)]


@plant
def numbers_parked() -> list[Patch]:
    """A number of a client's session waits for an index that is applied long since (R13 a)."""
    return [(Ingress, "_admit_numbered", lambda self, event: False)]
