"""Is a history linearizable? Twice: by the answers' indexes, and without looking at them.

By index: whatever began after an answer with index i comes behind i (commands) or not before it
(reads). The second checker searches for an order that explains what clients saw, as Wing and Gong
did, knows nothing of indexes, and guards the first on small histories of the counter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bazaar_peer.core.types import NEVER


class Seen(NamedTuple):
    """An operation as its client saw it; `returned` −1: unknown, it may have happened or not."""

    invoked: int
    returned: int
    place: int
    """Its answer's index."""
    amount: int
    """What it adds; 0: a read."""
    value: int
    """What it answered."""


def wrong_by_index(history: Sequence[Seen]) -> str:
    """Return why the indexes contradict real time, or nothing: one sweep over sorted times."""
    known = [seen for seen in history if seen.returned >= 0]
    times = sorted(
        [(seen.returned, 1, at) for at, seen in enumerate(known)]
        + [(seen.invoked, 0, at) for at, seen in enumerate(known)]
    )
    highest, floor = 0, [0] * len(known)
    for _, ends, at in times:
        if not ends:
            floor[at] = highest
            continue
        seen = known[at]
        late = seen.place < floor[at] or (seen.amount and seen.place == floor[at])
        if late:
            return f"{seen} stands before index {floor[at]}, answered before it began"
        highest = max(highest, seen.place)
    return ""


def wrong_by_order(history: Sequence[Seen]) -> str:
    """Search an order of at most 12 operations that explains every answer (Wing and Gong)."""
    count = len(history)
    ends = [seen.returned if seen.returned >= 0 else NEVER for seen in history]
    must = sum(1 << at for at, seen in enumerate(history) if seen.returned >= 0)
    seen_states: dict[tuple[int, int], bool] = {}
    stack = [(0, 0)]
    while stack:
        done, value = stack.pop()
        if done & must == must:
            return ""
        if (done, value) in seen_states:
            continue
        seen_states[done, value] = True
        left = [at for at in range(count) if not done >> at & 1]
        first_end = min(ends[at] for at in left)
        for at in left:
            seen = history[at]
            if seen.invoked > first_end:
                continue
            after = value + seen.amount
            if seen.returned < 0 or seen.value == after:
                stack.append((done | 1 << at, after))
    return "no order of the operations explains the answers"
