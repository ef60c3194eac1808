"""Shrinking: which of a failing schedule's decisions matter (ddmin, Zeller 2002).

A decision is a fault, a client's command, or an oddity of the network, each by its name. Those are
left out for which the *same* rule still fails; what is left is stored whole, plan included, and
replayed by the tests for ever after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec import Struct

from bazaar_peer.simulation.plan import Plan, draw
from bazaar_peer.simulation.plants import planted
from bazaar_peer.simulation.schedule import Outcome, play


class Stored(Struct):
    """A schedule that once failed, as it lies in tests/seeds/; `plant`: with this bug put in."""

    rule: str
    why: str
    plant: str
    plan: Plan
    keep: list[str]


def ddmin(items: list[str], fails: Callable[[list[str]], bool]) -> list[str]:
    """Return a part of `items` that still fails, and of which no chunk can be left out."""
    parts = 2
    while len(items) >= 2:
        size = -(-len(items) // parts)
        chunks = [items[at : at + size] for at in range(0, len(items), size)]
        for chunk in chunks:
            rest = [item for item in items if item not in chunk]
            if fails(rest):
                items, parts = rest, max(2, parts - 1)
                break
        else:
            if size == 1:
                break
            parts = min(len(items), 2 * parts)
    return [] if len(items) == 1 and fails([]) else items


def shrink(seed: int, peers: int = 0, plant: str = "") -> Stored | None:
    """Shrink a failing drawn schedule: faults first, then commands, then messages."""
    plan = draw(seed, peers)
    with planted(plant):
        whole = play(seed, plan=plan)
        if not whole.rule:
            return None
        groups = [
            [fault[0] for fault in plan.faults],
            [command[0] for command in plan.commands],
            [f"m{number + 1}" for number in range(whole.odd)],
        ]
        for at, group in enumerate(groups):
            rest = [name for other in groups if other is not group for name in other]
            groups[at] = ddmin(group, partial(_fails, plan, whole, rest))
        keep = [name for group in groups for name in group]
        why = play(seed, plan=plan, keep=frozenset(keep)).why
    plan.faults = [fault for fault in plan.faults if fault[0] in keep]
    plan.commands = [command for command in plan.commands if command[0] in keep]
    return Stored(whole.rule, why, plant, plan, keep)


def _fails(plan: Plan, whole: Outcome, rest: Iterable[str], kept: list[str]) -> bool:
    return play(plan.seed, plan=plan, keep=frozenset([*kept, *rest])).rule == whole.rule


def save(stored: Stored, folder: Path) -> Path:
    content = msgspec.json.format(msgspec.json.encode(stored), indent=1)
    name = f"{stored.rule.lower()}-{blake2b(content, digest_size=4).hexdigest()}.json"
    path = folder / name
    path.write_bytes(content + b"\n")
    return path


def replay(path: Path, *, with_plant: bool) -> Outcome:
    """Play a stored schedule, with its planted bug or without."""
    stored = msgspec.json.decode(path.read_bytes(), type=Stored)
    with planted(stored.plant if with_plant else ""):
        return play(stored.plan.seed, plan=stored.plan, keep=frozenset(stored.keep))
