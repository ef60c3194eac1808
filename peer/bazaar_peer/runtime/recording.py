"""Begins a peer's record on its volume, or says why there is none: trading never depends on it."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bazaar_peer.market.views import glance
from bazaar_peer.record.entries import Fields
from bazaar_peer.record.recorder import MEND, WHY_MAX, Recorder
from bazaar_peer.record.tap import Tap

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer
    from bazaar_peer.runtime.settings import ProcessSettings

log = logging.getLogger("bazaar.record")

MACHINE = Path("/proc/sys/kernel/random/boot_id")


def begin_record(settings: ProcessSettings, boot: int) -> Recorder | None:
    """Open the record; None: it is switched off, or cannot be: no room, or beyond mending."""
    if not settings.record:
        return None
    try:
        return Recorder(Path(settings.volume), boot)
    except Exception as wrong:
        fields = {"why": f"{wrong!r}"[:WHY_MAX], "what_to_do": MEND}
        log.warning("not_recorded", extra={"fields": fields})
        return None


def tap_of(peer: Peer, recorder: Recorder, settings: ProcessSettings) -> Tap:
    """Return the core with the record listening to it."""
    clock: Fields = {"wall": time.time_ns() - time.monotonic_ns()}
    if MACHINE.exists():  # peers on one machine share its clock
        clock["clock_id"] = MACHINE.read_text()[:8]
    return Tap(peer, recorder, settings.role, clock, lambda: glance(peer.state.machine))
