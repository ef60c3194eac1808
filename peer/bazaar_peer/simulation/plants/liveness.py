"""Planted bugs of nominations and of a reign's end (N1–N8)."""

from __future__ import annotations

from typing import Any

import msgspec

from bazaar_peer.core import ledger, routing
from bazaar_peer.core import messages as msg
from bazaar_peer.core import peer as peers
from bazaar_peer.core.agreement import Agreement
from bazaar_peer.core.election import Ring
from bazaar_peer.core.follower import Follower
from bazaar_peer.core.hand_over import HandOver
from bazaar_peer.core.nominator import Nominator
from bazaar_peer.core.nominee import Nominee
from bazaar_peer.core.peer import Peer
from bazaar_peer.core.polls import Polls
from bazaar_peer.core.replication import Replication
from bazaar_peer.core.trader import Trader
from bazaar_peer.core.types import NEVER, Role
from bazaar_peer.simulation.plants.registry import Patch, plant


@plant
def attempt_outlives_silence() -> list[Patch]:
    """A nomination under way is not ended when the trader is heard again (N1)."""
    inner = Nominator.tick

    def tick(self: Nominator) -> None:
        if not self.peer.hearing():
            inner(self)

    return [(Nominator, "tick", tick)]


@plant
def copy_is_no_progress() -> list[Patch]:
    """A reign ends although the copy that its majority needs advances (N5 c, N8)."""

    def nothing(self: Any, *place: Any) -> None:
        return

    return [(Replication, "copy_advanced", nothing), (Nominee, "copy_advanced", nothing)]


@plant
def rivals_undo_copies() -> list[Patch]:
    """Who promised to a nominee that copies promises to the next one all the same (N8)."""
    return [(Follower, "awaits_copy", lambda self: False)]


@plant
def nobody_excluded() -> list[Patch]:
    """A nominee that never gets on is nominated again, by token after token (N4, row 41)."""
    inner = Ring.start

    def start(self: Ring) -> None:
        self.failed = 0
        inner(self)

    return [(Nominator, "_exclude", lambda self, who: None), (Ring, "start", start)]


@plant
def orphans_circle() -> list[Patch]:
    """A token that has been everywhere is passed on (N1, row 42)."""
    inner = Ring.on_election

    def on_election(self: Ring, sender: Any, message: msg.Election) -> None:
        if message.initiator != self.peer.me:
            message = msgspec.structs.replace(message, tally=message.tally[:1])
        inner(self, sender, message)

    return [(Ring, "on_election", on_election)]


@plant
def higher_token_lives_for_ever() -> list[Patch]:
    """A lower initiator's token is dropped though the own one is long lost (N1, row 42)."""
    inner = Ring.on_election

    def on_election(self: Ring, sender: Any, message: msg.Election) -> None:
        if self.peer.me <= message.initiator or not self.counter:
            inner(self, sender, message)

    return [(Ring, "on_election", on_election)]


@plant
def no_jitter() -> list[Patch]:
    """Whoever failed at the same moment tries again then, and nobody goes first (N6, row 43)."""
    inner = Nominator._failed
    progress = Polls._poll_progress

    def poll_progress(self: Polls) -> None:
        self.higher_until = 0
        progress(self)

    def failed(self: Nominator) -> None:
        jitter, self.peer.jitter = self.peer.jitter, lambda: 0
        inner(self)
        self.peer.jitter = jitter

    return [(Nominator, "_failed", failed), (Polls, "_poll_progress", poll_progress)]


@plant
def promised_while_hearing() -> list[Patch]:
    """Who hears a trader promises a higher epoch all the same (N3, rows 44 and 53)."""
    return [(Follower, "refuses_while_hearing", lambda self, transfer: False)]


@plant
def stale_nomination_obeyed() -> list[Patch]:
    """Whoever is nominated stands, whatever has become of the ring since (N2, row 44)."""

    def on_nominated(self: Nominator, sender: Any, message: msg.Nominated) -> None:
        if self.peer.role is Role.FOLLOWER:
            self.peer.nominee.start(message.transfer)

    return [(Nominator, "on_nominated", on_nominated)]


@plant
def stalled_disk_unseen() -> list[Patch]:
    """A trader whose own disk or commit index stands still reigns on (N5 c, row 47)."""
    inner = Trader._failing

    def failing(self: Trader, timeout: int) -> str:
        why = inner(self, timeout)
        return why if "majority" in why else ""

    return [(Trader, "_failing", failing)]


@plant
def post_stays_closed() -> list[Patch]:
    """A trader waits for its successor for ever (R11, rows 49 and 66)."""
    return [(HandOver, "tick", lambda self: None), (HandOver, "deadline", lambda self: NEVER)]


@plant
def leaver_goes_at_once() -> list[Patch]:
    """A trader that leaves is gone as soon as it sees a higher epoch (R11, row 67)."""
    return [(Peer, "_may_leave", lambda self: self.nominee.epoch == 0)]


@plant
def leavers_nominated() -> list[Patch]:
    """A hand-over goes to who leaves, too (R11, row 73)."""
    inner = Nominator.on_nominated

    def on_nominated(self: Nominator, sender: Any, message: msg.Nominated) -> None:
        leaving, self.peer.leaving = self.peer.leaving, False
        inner(self, sender, message)
        self.peer.leaving = leaving

    return [(Nominator, "on_nominated", on_nominated)]


def _stands_again(goes: bool) -> list[Patch]:
    """Let a refused trader that goes, or does not, stand again whatever it should do."""
    inner = routing.on_refused

    def on_refused(peer: Peer, sender: Any, message: msg.Refused) -> None:
        reigned, epoch = peer.role is Role.TRADER, peer.epoch
        going = peer.leaving or peer.trader_role.hand_over.closed
        inner(peer, sender, message)
        if reigned and going is goes and peer.role is Role.FOLLOWER:
            peer.nominee.start(transfer=epoch)

    return [(routing, "on_refused", on_refused)]


@plant
def leaver_stands_again() -> list[Patch]:
    """A leaving trader that its successor refuses takes its post back (R11, rows 67 and 73)."""
    return _stands_again(True)


@plant
def no_poll() -> list[Patch]:
    """A token that brings nobody is followed by another token only (N4, row 40)."""

    def poll(self: Polls) -> None:
        self._idle()
        self._failed()

    return [(Polls, "poll", poll), (Nominator, "patient", property(lambda self: True))]


@plant
def one_memory_decides() -> list[Patch]:
    """The trader has everybody rebuild who differs from it, majority or not (H1, row 70)."""

    def judge(self: Agreement, sender: Any, message: msg.Appended) -> None:
        self.peer.send(sender, msg.StateDiffers(message.epoch, message.hash_index))

    return [(Agreement, "_judge", judge)]


@plant
def refusals_unheard() -> list[Patch]:
    """A trader that is told of a higher epoch goes on below it (N5 a, rows 45 and 46)."""
    return [(routing, "on_refused", lambda peer, sender, message: None)]


@plant
def alone_for_ever() -> list[Patch]:
    """A trader with nobody to hand over to never leaves (R11, row 66)."""
    return [(HandOver, "_give_up", lambda self: self.stop())]


@plant
def hears_nobody() -> list[Patch]:
    """Who hears a trader takes part in an election all the same (N3, row 53)."""
    return [(Peer, "hearing", lambda self: self.role is Role.TRADER)]


@plant
def believes_in_silence() -> list[Patch]:
    """Who was held up takes what it did not hear meanwhile for a loss (N3, N5, row 53)."""
    return [(peers, "bear", lambda peer, due: None)]


@plant
def takes_its_post_back() -> list[Patch]:
    """A trader that stood still stands again at once, whoever trades by now (N5 a, row 53)."""
    return _stands_again(False)


@plant
def applied_at_once() -> list[Patch]:
    """A step applies all that is committed, however long that takes (N8, row 53)."""
    return [(ledger, "APPLY_MAX", 1 << 62)]
