"""The reigns that were seen, and how long there was no trader before each."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from bazaar_peer.command.drill.place import Interregna

REIGNS_MAX = 50
JOIN_S = 5.0
"""A reign, and the scrape in which its trader has counted the interregnum, are not seen at once."""


@dataclass
class Reign:
    """One trader's; `spell_ms` is None where its trader has not counted that interregnum alone."""

    epoch: int
    trader: int
    seen_at: float
    is_first: bool = False
    """It had begun before anybody looked."""
    spell_ms: float | None = None
    is_planned: bool = False


@dataclass(frozen=True)
class _Spell:
    at: float
    ms: float
    is_planned: bool


class Reigns:
    """The newest ones, oldest first."""

    def __init__(self) -> None:
        self.seen: deque[Reign] = deque(maxlen=REIGNS_MAX)
        self._counted: dict[int, Interregna] = {}
        self._spells: dict[int, _Spell] = {}

    def traded(self, now: float, trader: int, epoch: int) -> None:
        """Take what a peer says of who trades."""
        if trader < 0 or (self.seen and epoch <= self.seen[-1].epoch):
            return
        self.seen.append(Reign(epoch, trader, now, is_first=not self.seen))
        self._join(now)

    def counted(self, now: float, peer: int, found: Interregna) -> None:
        """Take a peer's count; one that is smaller is of a process that began anew."""
        before = self._counted.get(peer)
        self._counted[peer] = found
        if before is None or (one := found.behind(before)).ended != 1:
            return
        self._spells[peer] = _Spell(now, one.seconds * 1e3, one.planned == 1)
        self._join(now)

    def _join(self, now: float) -> None:
        if not self.seen:
            return
        reign = self.seen[-1]
        spell = self._spells.get(reign.trader)
        fresh = spell is not None and abs(spell.at - reign.seen_at) <= JOIN_S
        if spell is not None and fresh and not reign.is_first and reign.spell_ms is None:
            del self._spells[reign.trader]
            reign.spell_ms, reign.is_planned = spell.ms, spell.is_planned
