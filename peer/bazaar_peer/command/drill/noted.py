"""What a drill did, told in the ring's own story: who stands still cannot say so itself.

Only where the peers' clock is this machine's: elsewhere nobody knows when on their axis it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bazaar_peer.command.drill.figures import Fault
from bazaar_peer.command.drill.plan import Kind
from bazaar_peer.core.types import ordinal_of
from bazaar_peer.record.collect import Story
from bazaar_peer.record.entries import FAULT
from bazaar_peer.record.merge import Told, in_order

NOTES = {
    Kind.CRASH: ("killed", ""),
    Kind.FOLLOWER: ("killed", ""),
    Kind.PAUSE: ("paused", "resumed"),
    Kind.CUT: ("cut", "healed"),
}
"""What began, and what it ended with; who was asked to go says so by its own word."""
NEAR_S = 2.0
"""The same note so near was made by a peer, or by who started it."""
FIRST_SEQ = 1 << 52
"""No peer's own entry has such a number, and a browser can still count as far."""


def with_faults(story: Story, faults: Iterable[Fault]) -> Story:
    """Return the story with what was done in it, where it is not told yet."""
    known = [one for one in story.entries if one["kind"] == FAULT]
    lives = {ordinal_of(one["peer"]): int(one["peer"]) for one in story.entries}
    notes = [
        note
        for fault in faults
        for note in _notes(fault, lives)
        if not any(_is_the_same(note, one) for one in known)
    ]
    return story._replace(entries=in_order([*story.entries, *notes]))


def _notes(fault: Fault, lives: dict[int, int]) -> Iterator[Told]:
    moments = (fault.began, fault.ended)
    if fault.victim not in lives:
        return
    for place, what in enumerate(NOTES.get(fault.kind, ())):
        if what:
            note: Told = {"at": moments[place], "peer": lives[fault.victim], "boot": 0}
            note |= {"seq": FIRST_SEQ + 2 * fault.number + place, "kind": FAULT, "what": what}
            if what == "cut":
                note["others"] = sorted(set(lives.values()) - {lives[fault.victim]})
            yield note


def _is_the_same(note: Told, other: Told) -> bool:
    near = abs(note["at"] - other["at"]) < NEAR_S
    same = ordinal_of(note["peer"]) == ordinal_of(other["peer"])
    return near and same and note["what"] == other["what"]
