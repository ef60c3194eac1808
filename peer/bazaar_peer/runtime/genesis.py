"""A ring's first record: its members and its market's settings, the same bytes on every volume."""

from __future__ import annotations

from bazaar_peer.core.journal import store
from bazaar_peer.core.messages import Member, MembersChanged, Record, Stored
from bazaar_peer.core.types import Limits
from bazaar_peer.market.commands import MarketSettings, encode_settings


def genesis(ring: str, peers: int, commission_bp: int, limits: Limits | None = None) -> Stored:
    market = encode_settings(MarketSettings(commission_bp=commission_bp))
    first = tuple(Member(peer) for peer in range(peers))
    return store(
        Record(0, 1, 0, 0, {}, [MembersChanged(first, ring, limits or Limits(), market)]), b""
    )
