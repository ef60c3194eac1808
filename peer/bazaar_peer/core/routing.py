"""Which part of a peer takes which input."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.records import is_over
from bazaar_peer.core.types import PeerId, Role

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer


def routes(peer: Peer) -> dict[type, Callable[..., None]]:
    return {
        msg.Append: peer.follower.on_append,
        msg.Appended: peer.trader_role.on_appended,
        msg.AppendRefused: peer.trader_role.on_append_refused,
        msg.IWon: peer.follower.on_i_won,
        msg.Promise: peer.nominee.on_promise,
        msg.Refused: partial(on_refused, peer),
        msg.SteppedDown: peer.follower.on_stepped_down,
        msg.Fetch: peer.copying.on_fetch,
        msg.Chunk: peer.nominee.on_chunk,
        msg.Part: peer.copying.on_part,
        msg.PartTaken: peer.copying.on_part_taken,
        msg.StateDiffers: peer.follower.on_state_differs,
        msg.Election: peer.nominator.on_election,
        msg.TokenTaken: peer.nominator.on_token_taken,
        msg.TraderAlive: partial(on_trader_alive, peer),
        msg.Nominated: peer.nominator.on_nominated,
        msg.Poll: peer.nominator.on_poll,
        msg.PollAnswer: peer.nominator.on_poll_answer,
        msg.Retired: lambda sender, message: peer.end_life(),
        msg.Submit: peer.trader_role.post.on_submit,
        msg.Answers: peer.ingress.on_answers,
        msg.NotTrader: peer.ingress.on_not_trader,
        msg.ReadIndex: peer.trader_role.on_read_index,
        msg.ReadAt: peer.ingress.reader.on_read_at,
    }


def take(peer: Peer, event: ev.Event) -> None:
    match event:
        case ev.Received(sender=sender, message=message):
            known = sender in peer.others or _may_speak(peer, sender, message)
            if known and not peer.halted:
                peer.routes[type(message)](sender, message)
        case ev.Command():
            peer.ingress.command(event)
        case ev.DiskDone(number=number):
            peer.disk_done(number)
        case ev.Read():
            peer.ingress.read(event)
        case ev.Forget(request=request):
            peer.ingress.forget(request)
        case ev.LinkUp(peer=other):
            peer.linked[other] = True
            peer.nominator.on_link_up(other)
            peer.ingress.on_link_up(other)
        case ev.LinkLost(peer=other, refused=refused):
            peer.linked.pop(other, None)
            peer.follower.on_link_lost(other, refused)
            peer.nominator.on_link_lost(other)
        case ev.CheckpointSaved(index=index, size=size):
            peer.saving = False
            peer.checkpoint_bytes = size
            peer.saved_index = max(peer.saved_index, index)
            peer.prune()
        case ev.PartRead():
            peer.copying.part_read(event)
        case ev.Installed(index=index):
            peer.saving = False  # an install abandons a checkpoint that is being saved
            peer.saved_index = max(peer.saved_index, index)
        case ev.Resign(leaving=leaving, successor=successor):
            peer.leaving = peer.leaving or leaving
            peer.trader_role.hand_over.begin(PeerId(successor))
        case ev.Outlived():
            peer.end_life()
        case ev.Tick():
            pass


def on_refused(peer: Peer, sender: PeerId, message: msg.Refused) -> None:
    """Somebody promised a higher epoch: no role of a lower one goes on (N5 a)."""
    peer.seen_epoch(message.epoch)
    if peer.role is Role.NOMINEE and message.epoch >= peer.epoch:
        peer.nominee.on_refused(sender, message.epoch)
    elif message.epoch <= peer.epoch:
        return
    elif peer.role is Role.TRADER:
        epoch, trader = peer.epoch, peer.trader_role
        goes = peer.leaving or trader.hand_over.closed  # it may be the successor that refused
        stood_still = not trader.accepted_since(peer.now - peer.timing.heartbeat_timeout)
        trader.step_down(f"peer {sender} promised epoch {message.epoch}")
        if not goes and not stood_still:  # who stood still would take the post from who has it now
            peer.nominee.start(transfer=epoch)


def on_trader_alive(peer: Peer, sender: PeerId, message: msg.TraderAlive) -> None:
    peer.seen_epoch(message.epoch)
    if peer.role is Role.NOMINEE:
        peer.nominee.on_trader_alive(sender, message)
    else:
        peer.nominator.on_trader_alive(sender, message)


CANDIDACY = (msg.Election, msg.Nominated)


def _may_speak(peer: Peer, sender: PeerId, message: msg.Message) -> bool:
    """Tell whether to hear one who is no member here: perhaps newer than this journal.

    A life that is over by what is committed hears so, and nothing else.
    """
    if sender == peer.me:
        return False
    if peer.knows_over(sender):
        peer.send(sender, msg.Retired())
        return False
    return not is_over(peer.members, sender) or _may_yet_trade(peer, message)


def _may_yet_trade(peer: Peer, message: msg.Message) -> bool:
    """Tell whether to hear one that is over by the own journal alone.

    It may trade, and truncate that. To stand, it needs a journal that is further than the own: a
    removal that was committed would be in it. With another one it cannot win with this peer's
    promise, and its attempts would only keep those who can from theirs (N8).
    """
    if isinstance(message, (msg.IWon, msg.Poll)):
        return message.end > peer.journal.last
    return not isinstance(message, CANDIDACY)
