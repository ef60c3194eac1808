"""Stories as files: of a ring of `bazaar up` from its volumes, and of a simulated schedule."""

from __future__ import annotations

from pathlib import Path

from bazaar_peer.command.ring_folder import RingFolder
from bazaar_peer.core.types import Timing
from bazaar_peer.record.merge import Merger, in_order
from bazaar_peer.record.recorder import read_record
from bazaar_peer.record.story import header, in_ms, write_story
from bazaar_peer.simulation.plan import draw
from bazaar_peer.simulation.recording import story


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


def record_seed(seed: int, peers: int, plant: str, path: Path) -> tuple[int, str]:
    """Play one schedule and write it; return how many entries that is, and how it ended."""
    plan = draw(seed, peers)
    first = header(f"seed-{seed}", "simulation", *in_ms(plan.timing), f"seed {seed}")
    told = list(story(seed, peers, plant))
    return write_story(path, first, told), told[-1]["fields"]["why"]
