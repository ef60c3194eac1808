"""Gauges of one life, read from its peer when it is scraped: in between they cost nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bazaar_peer.core.types import NOBODY, SECOND, Nanos, ordinal_of
from bazaar_peer.market.market import Market
from bazaar_peer.telemetry.catalogue import OTHER, Catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bazaar_peer.core.peer import Peer


class State:
    """What one life's gauges show; `waiting` tells how many requests wait for an answer."""

    def __init__(
        self,
        catalogue: Catalogue,
        peer: Peer,
        clock: Callable[[], Nanos],
        waiting: Callable[[], int],
    ) -> None:
        self._catalogue, self._peer, self._clock = catalogue, peer, clock
        self._waiting = waiting
        self._market, self._counted = self._machine(), 0
        self._market.counts_after = peer.journal.last[1]

    def show(self) -> None:
        """Set all gauges as they are now."""
        self._show_reign()
        self._show_ring()
        self._show_journal()
        self._show_market()
        self._catalogue.in_flight.set(self._waiting())

    def hide(self) -> None:
        """This life is over: what it was must not be shown as what is."""
        shown = self._catalogue
        for gauge in (shown.is_trader, shown.ready, shown.connected, shown.queue, shown.oldest):
            gauge.set(0)
        shown.in_flight.set(0)
        shown.trader.set(NOBODY)
        self._show_lag({})

    def _show_reign(self) -> None:
        shown, peer = self._catalogue, self._peer
        trader = peer.trader
        shown.is_trader.set(peer.is_trader)
        shown.trader.set(NOBODY if trader == NOBODY else ordinal_of(trader))
        shown.epoch.set(peer.epoch)

    def _show_ring(self) -> None:
        shown, peer, now = self._catalogue, self._peer, self._clock()
        members = (peer.state.members or peer.members).members
        shown.ready.set(peer.is_ready())
        shown.members.set(len(members))
        shown.voters.set(sum(member.voter for member in members))
        shown.expected.set(peer.state.sessions.admission.size)
        shown.connected.set(len(peer.linked))
        heard = now if peer.is_trader else peer.follower.heard_at
        if heard:
            shown.heard_at.set(time.time() - (now - heard) / SECOND)
        post, reigns = peer.trader_role.post, peer.is_trader
        shown.queue.set(len(post.pending) if reigns else 0)
        waits = reigns and post.pending
        shown.oldest.set(max(0, now - post.cut_at) / SECOND if waits else 0)
        last = peer.journal.last[1]
        progress = peer.trader_role.progress if reigns else {}
        self._show_lag({ordinal_of(p): max(0, last - far.match) for p, far in progress.items()})

    def _show_lag(self, lags: Mapping[int, int]) -> None:
        shown = self._catalogue
        for ordinal in range(shown.peers):
            shown.lag.labels(str(ordinal)).set(lags.get(ordinal, 0))

    def _show_journal(self) -> None:
        shown, peer = self._catalogue, self._peer
        shown.commit_index.set(peer.commit_index)
        shown.applied_index.set(peer.state.index)
        shown.journal_bytes.set(peer.journal.bytes)

    def _show_market(self) -> None:
        shown, market = self._catalogue, self._machine()
        for item, count in self._by_item(market.on_offer).items():
            shown.on_offer.labels(item).set(count)
        for item, count in self._by_item(market.sold).items():
            shown.raise_to(shown.sold.labels(item), count)
        if market is not self._market:  # another peer's checkpoint took its place
            self._market, self._counted = market, 0
        shown.trades.inc(market.trades - self._counted)
        self._counted = market.trades
        shown.raise_to(shown.paid, sum(market.paid.values()))
        shown.raise_to(shown.commission, sum(market.commission.values()))

    def _machine(self) -> Market:
        market = self._peer.state.machine
        assert isinstance(market, Market)
        return market

    def _by_item(self, table: Mapping[str, int]) -> dict[str, int]:
        """Sum up what has no series of its own: any client may bring any item."""
        own = self._catalogue.items
        found = {item: table.get(item, 0) for item in own}
        return found | {OTHER: sum(table.values()) - sum(found.values())}
