"""Planted bugs of clocks, market and checkpoints (T1, T2, U2, C2, S7, H1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from bazaar_peer.core import messages as msg
from bazaar_peer.core.ingress import Ingress
from bazaar_peer.core.ledger import Ledger
from bazaar_peer.core.sessions import Sessions
from bazaar_peer.core.state import State
from bazaar_peer.core.trader import Trader
from bazaar_peer.core.vector_clock import VectorClock, sealed
from bazaar_peer.market.lots import Lot
from bazaar_peer.market.market import Market
from bazaar_peer.simulation.plants.registry import Patch, plant


@plant
def deposit_doubled() -> list[Patch]:
    """S7."""
    inner = Market._offer

    def offer(self: Market, lot: int, value: Lot) -> None:
        inner(self, lot, (*value[:3], 2 * value[3]))

    return [(Market, "_offer", offer)]


@plant
def float_money() -> list[Patch]:
    """S7."""
    inner = Market._credit

    def credit(self: Market, part: Any, trader: int) -> int:
        due = inner(self, part, trader)
        self.earned[part.seller] *= 1.0  # type: ignore[assignment]
        return due

    return [(Market, "_credit", credit)]


@plant
def commission_to_wrong_epoch() -> list[Patch]:
    """Commission goes to who trades now, not to the trader of the entry's epoch (U2)."""
    inner = Ledger.apply

    def apply(self: Any) -> None:
        self.state._at.trader = self.follower.trader
        inner(self)

    return [(Ledger, "apply", apply)]


@plant
def checkpoint_without_keys() -> list[Patch]:
    """A checkpoint does not hold the keys (C2)."""
    inner = Sessions.snapshot

    def snapshot(self: Sessions) -> Iterator[bytes]:
        keys, self.keys = self.keys, {}
        parts = inner(self)
        self.keys = keys
        return parts

    return [(Sessions, "snapshot", snapshot)]


@plant
def clock_restarts_lower() -> list[Patch]:
    """T2."""
    inner = VectorClock.__init__

    def init(self: VectorClock, me: int, counts: dict[int, int], ticks: int) -> None:
        inner(self, me, counts, ticks)
        counts[me] = 0

    return [(VectorClock, "__init__", init)]


@plant
def version_told_too_early() -> list[Patch]:
    """What followers told of their version before the reign was open is forgotten (U1)."""
    inner = Trader._open

    def opened(self: Trader, commit: int) -> None:
        told, self.agreement.versions = self.agreement.versions, {}
        inner(self, commit)
        self.agreement.versions = told

    return [(Trader, "_open", opened)]


@plant
def stamp_made_again() -> list[Patch]:
    """A submission that is sent again gets another stamp (T1)."""
    inner = Ingress._submit

    def submit(self: Ingress, waiting: Any) -> None:
        if waiting.ever and waiting.sub.kind != msg.OPEN_PEER and self.peer.clock.can_stamp():
            rank, stamp = sealed(self.peer.clock.stamp())
            waiting.sub = msgspec.structs.replace(waiting.sub, rank=rank, stamp=stamp)
        inner(self, waiting)

    return [(Ingress, "_submit", submit)]


@plant
def state_differs() -> list[Patch]:
    """One peer's machine computes something else (H1, S10)."""
    inner = Ledger.apply

    def apply(self: Ledger) -> None:
        inner(self)
        if self.me == 1 and self.state.index > 4:
            self.state.hash ^= 1

    return [(Ledger, "apply", apply)]


@plant
def own_version_applied() -> list[Patch]:
    """Each peer applies entries by its own release's version (U1, row 29)."""
    inner = State.apply

    def apply(self: State, *arguments: Any) -> Any:
        self._at.version = self.machine.version
        return inner(self, *arguments)

    return [(State, "apply", apply)]
