"""Planted bugs of nominations and of a reign's end (N1–N8)."""

from __future__ import annotations

from typing import Any

from bazaar_peer.core.nominator import Nominator
from bazaar_peer.core.nominee import Nominee
from bazaar_peer.core.trader import Trader
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

    def nothing(self: Any) -> None:
        return

    return [(Trader, "copy_advanced", nothing), (Nominee, "copy_advanced", nothing)]
