"""The story of a ring of `bazaar up` as a file, from its volumes."""

from __future__ import annotations

from pathlib import Path

from bazaar_peer.command.ring_folder import RingFolder
from bazaar_peer.core.types import Timing
from bazaar_peer.record.merge import Merger, in_order
from bazaar_peer.record.recorder import read_record
from bazaar_peer.record.story import header, in_ms, write_story


def record_ring(folder: RingFolder, path: Path) -> int:
    """Write what the volumes of a stopped ring have kept; return how many entries that is."""
    merger = Merger()
    for peer in folder.ordinals():
        volume = folder.volume(peer)
        former = sorted((volume / "set-aside").glob("*"))
        for place in [*former, volume]:
            if (found := read_record(place)) is not None:
                merger.add(*found)
    merger.fit()
    first = header(folder.made.ring, "up", *in_ms(Timing()))
    return write_story(path, first, in_order(list(merger.emit())))
