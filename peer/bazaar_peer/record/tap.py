"""Listens to a core: what goes in and what comes out becomes entries of a record.

It stands between driver and core, has the core's own interface, and changes nothing. What goes
wrong in listening ends the recording, and never the peer. The same tap listens in a process and in
the simulator. Times are those of the turn: a message is noted as got when it had been read, as sent
before it left, so no entry ever shows an effect before its cause. It is written when the turn's
messages are out, in an election by the first turn that comes 10 ms later: a kill -9 takes no more
with it than what was noted since.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bazaar_peer.core import effects as fx
from bazaar_peer.core.events import Event, Received
from bazaar_peer.core.messages import Append, Appended
from bazaar_peer.core.types import MS, SECOND, Nanos, PeerId, Role, name_of
from bazaar_peer.record import entries as rec
from bazaar_peer.record.entries import BULK, ROUND_EVERY, SPARSE_ROUNDS, Fields, described

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer
    from bazaar_peer.record.recorder import Keeper


class Pace(NamedTuple):
    """Between two entries of a kind; each costs some 40 µs where nothing of its path is in a cache.

    That is why the calm pace is what an eye needs, and no more (docs/performance.md).
    """

    beat: Nanos
    moved: Nanos


CALM, FINE = Pace(40 * MS, 50 * MS), Pace(10 * MS, 5 * MS)

KEY_EVERY: Nanos = SECOND
ORDER_EVERY = 40 * MS
BACK_EVERY = 200 * MS
LIVELY: Nanos = SECOND // 2
"""So long after a step of the protocol traffic is noted finely: one looks at it in slow motion."""
TOGETHER = 10 * MS
"""An election's entries are written together: among many peers on few cores they would delay it."""
SLOW_MS = 20.0
"""Orders that took so long are noted, however many there are, up to `SLOW_EVERY`."""
SLOW_EVERY = 2 * MS
FREQUENT = frozenset({"batch_reordered", "committed_without_own_disk"})
"""Notes that may come with every batch, and are neither kept nor logged."""
ROLES = {Role.TRADER: "trader", Role.NOMINEE: "nominee", Role.FOLLOWER: "follower"}


class Tap:
    """A core that is listened to.

    `market`: the role of its own agent. `clock`: `clock_id`, which machine's clock this is, and
    `wall`, how far it is behind Unix time. `goods`: what there is to see of the market.
    """

    def __init__(
        self,
        peer: Peer,
        keeper: Keeper,
        market: str = "",
        clock: Fields | None = None,
        goods: Callable[[], Fields] | None = None,
    ):
        self._peer, self._keeper, self._market = peer, keeper, market
        self._goods, self._goods_of = goods, -1
        self._pending: list[tuple[Nanos, str, Fields]] = []
        self._clock = {"life": peer.me, **(clock or {})}
        self._key_at: Nanos = 0
        self._beat_at = self._sent_at = self._moved_at = self._order_at = 0
        self._pace, self._calm_at = FINE, LIVELY
        self._now: Nanos = 0
        self._moved = (0, 0, 0, 0)
        self._round = (0, 0)
        self._backs: dict[PeerId, tuple[int, int, Nanos]] = {}

    # ---- the core's interface

    def handle(self, events: Sequence[Event], now: Nanos) -> list[fx.Effect]:
        """Hand a turn on; note it."""
        self._now = now
        try:
            self._before(events, now)
        except Exception as wrong:
            self._keeper.give_up(wrong)
        try:
            effects = self._peer.handle(events, now)
        except BaseException:
            self.write()
            raise
        try:
            self._behind(effects, now)
        except Exception as wrong:
            self._keeper.give_up(wrong)
        return effects

    def next_deadline(self) -> Nanos:
        """Asked when a turn's effects are out: now nobody waits for what is written."""
        if self._pending and (self._pace is CALM or self._now >= self._pending[0][0] + TOGETHER):
            self.write()
        return self._peer.next_deadline()

    @property
    def is_trader(self) -> bool:
        return self._peer.is_trader

    # ---- what others hand in

    def answered(self, now: Nanos, ms: float, outcome: str) -> None:
        """Note an order's answer, if its turn has come."""
        since = now - self._order_at
        if since >= ORDER_EVERY or (ms >= SLOW_MS and since >= SLOW_EVERY):
            self._order_at = now
            self._keep(now, rec.ORDER, {"ms": round(ms, 3), "outcome": outcome})

    # ---- a turn

    def _keep(self, now: Nanos, kind: str, told: Fields) -> None:
        self._pending.append((now, kind, told))

    def write(self) -> None:
        """Write what was noted."""
        pending, self._pending = self._pending, []
        try:
            self._keeper.keep(*pending)
        except Exception as wrong:
            self._keeper.give_up(wrong)

    def _before(self, events: Sequence[Event], now: Nanos) -> None:
        if not self._key_at:
            self._key_at = now
            self._keep(now, rec.STARTED, dict(self._clock))
        for event in events:
            if type(event) is Received:
                self._got(event, now)

    def _behind(self, effects: Sequence[fx.Effect], now: Nanos) -> None:
        for effect in effects:
            if type(effect) is fx.Send:
                self._sent(effect, now)
            elif type(effect) in TOLD:
                self._told(effect, now)
        if now >= self._key_at:
            self._key(now)
        elif now - self._moved_at >= self._pace.moved:
            self._look(now)

    def _told(self, effect: fx.Effect, now: Nanos) -> None:
        if type(effect) is fx.Note:
            if effect.kind not in FREQUENT:
                self._step(now, rec.NOTE, {"note": effect.kind, "fields": effect.fields})
            if effect.kind == "reign_begun":
                self._key_at = min(self._key_at, now)  # it begins with all there is
            return
        why = effect.reason[:200] if type(effect) is fx.Halt else ENDS[type(effect)]
        self._keep(now, rec.ENDED, {"why": why})
        self.write()  # the process may end with it

    def _step(self, now: Nanos, kind: str, told: Fields) -> None:
        """Note a step of the protocol, and what follows it finely."""
        self._pace, self._calm_at = FINE, now + LIVELY
        self._keep(now, kind, told)

    # ---- messages

    def _got(self, event: Received, now: Nanos) -> None:
        message, sender = event.message, event.sender
        if type(message) is Append:
            since, every = now - self._beat_at, self._pace.beat
            if since >= every or _ties(message.round, since, every // 2):
                self._beat_at = now
                told = {"from": sender, "epoch": message.epoch, "round": message.round}
                self._keep(now, rec.BEAT, told)
        elif type(message) is Appended:
            if message.round % ROUND_EVERY == 0:
                self._got_back(sender, message, now)
        elif type(message) not in BULK:
            self._step(now, rec.GOT, {"from": sender, **described(message)})

    def _got_back(self, sender: PeerId, message: Appended, now: Nanos) -> None:
        epoch, number, at = self._backs.get(sender, (0, 0, 0))
        is_new = (epoch, number) != (message.epoch, message.round)
        if is_new and _ties(message.round, now - at, BACK_EVERY):
            self._backs[sender] = (message.epoch, message.round, now)
            told = {"from": sender, "epoch": message.epoch, "round": message.round}
            self._keep(now, rec.BEAT_BACK, told)

    def _sent(self, effect: fx.Send, now: Nanos) -> None:
        message = effect.message
        if type(message) is Append:
            this = (message.epoch, message.round)
            if this != self._round and _ties(this[1], now - self._sent_at, self._pace.beat // 2):
                self._round, self._sent_at = this, now
                told = {"epoch": message.epoch, "round": message.round}
                self._keep(now, rec.BEAT_SENT, told)
        elif type(message) not in BULK:
            self._step(now, rec.SENT, {"to": list(effect.to), **described(message)})

    # ---- states

    def _look(self, now: Nanos) -> None:
        if now >= self._calm_at:
            self._pace = CALM
        peer = self._peer
        last = peer.journal.last
        state = (last[0], last[1], peer.commit, peer.state.index)
        if state != self._moved:
            self._moved, self._moved_at = state, now
            told = {"epoch": last[0], "end": last[1], "commit": state[2], "applied": state[3]}
            self._keep(now, rec.MOVED, told)

    def _key(self, now: Nanos) -> None:
        """Note the whole state: whoever reads begins here."""
        self._key_at = now + KEY_EVERY
        peer = self._peer
        last, follower = peer.journal.last, peer.follower
        self._moved = (last[0], last[1], peer.commit, peer.state.index)
        heard = (now - follower.heard_at) / SECOND if follower.heard_at else None
        counts = sorted(peer.clock.counts.items())
        told: Fields = {
            "role": self._role(),
            "epoch": follower.epoch,
            "promised": peer.epoch,
            "trader": peer.trader,
            "end": list(last),
            "commit": peer.commit,
            "applied": peer.state.index,
            "members": [member.id for member in peer.members.members],
            "heard": None if peer.role is Role.TRADER or heard is None else round(heard, 4),
            "market": self._market,
            "clock": {name_of(part): count for part, count in counts},
            **self._clock,
        }
        self._keep(now, rec.KEY, told)
        if self._goods and peer.is_trader and self._goods_of != peer.state.index:
            self._goods_of = peer.state.index
            if goods := self._goods():
                self._keep(now, rec.MARKET, {"index": self._goods_of, **goods})

    def _role(self) -> str:
        peer = self._peer
        if peer.leaving:
            return "leaving"
        if peer.role is Role.FOLLOWER and peer.me not in peer.voters:
            return "learner"
        return ROLES[peer.role]


ENDS: dict[type, str] = {fx.Left: "left", fx.Removed: "removed"}
TOLD = frozenset({fx.Note, fx.Halt, *ENDS})


def _ties(number: int, since: Nanos, every: Nanos) -> bool:
    """Tell whether a round is one of those that tie clocks, and its turn has come."""
    return number % SPARSE_ROUNDS == 0 or (number % ROUND_EVERY == 0 and since >= every)
