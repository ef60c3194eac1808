"""`bazaar recover`: a new ring of what is left after the loss of a majority of volumes (R14).

Without a majority nobody can tell which entries were acknowledged, so no peer may go on by itself.
A person may decide to: this command says what is known and what is lost, asks, and makes a *new*
ring, under a new id and with new lives, that begins with everything the best survivor has. Nothing
of the former ring can be taken for the new one's: no vote, no promise, no index.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import typer

from bazaar_peer.command import rebuild
from bazaar_peer.command.local import UsageError
from bazaar_peer.command.ring_folder import RingError, RingFolder, half_recovered, read_ring
from bazaar_peer.command.survey import Condition, Found, Survey, hold, survey
from bazaar_peer.core.quorum import majority
from bazaar_peer.runtime.files import DiskError, Files, Locked


@dataclass(frozen=True)
class Talk:
    """`say` gets sentences for people; `agreed` says whether the person wants it done."""

    say: Callable[[str], object]
    agreed: Callable[[], bool]


def talk(*, yes: bool) -> Talk:
    """Talk on standard error, and ask where somebody can answer; `yes`: the answer is known."""

    def agreed() -> bool:
        if not yes and not sys.stdin.isatty():
            raise UsageError("nobody can be asked here: run it on a terminal, or with --yes")
        return yes or typer.confirm("Make the new ring?", err=True)

    return Talk(partial(typer.echo, err=True), agreed)


def recover(path: Path, people: Talk, files: Files | None = None) -> dict[str, object]:
    """Recover a ring, or go on with a recovery that was interrupted; return what was done.

    Raises:
        RingError: nothing was changed, or the text says how to go on.
    """
    folder = read_ring(path)
    if folder is None:
        raise RingError(f"{path} has no ring.json: it is no ring's folder")
    if (running := folder.running()) is not None:
        raise RingError(
            f"a `bazaar up` (pid {running.pid}) runs in {path}: end it first. If that process is "
            f"none, remove {path / 'running.json'}. Nothing was changed."
        )
    with ExitStack() as held:
        try:
            hold(path, held)
        except Locked:
            raise RingError(f"another `bazaar recover {path}` runs; wait for it") from None
        try:
            return _recover(folder, people, files or Files(), held)
        except (DiskError, OSError) as wrong:
            raise RingError(
                f"{wrong}. Mend that and run `bazaar recover {path}` again: it goes on, or starts "
                "over where nothing was changed yet."
            ) from wrong


def _recover(folder: RingFolder, people: Talk, files: Files, held: ExitStack) -> dict[str, object]:
    nxt = read_ring(folder.recovering)
    if nxt is not None and nxt.made.ring == folder.made.ring:
        people.say(f"{folder.path} was recovered already; what the recovery left is cleaned up")
        rebuild.clean(folder)
        return _done(folder)
    nxt = half_recovered(folder)
    if nxt is not None:
        people.say(f"the recovery of ring {folder.made.ring} was interrupted; it goes on")
        _hold_all(folder, held)
        rebuild.swap(folder, nxt, files)
        return _done(RingFolder(folder.path, nxt.made))
    found = survey(folder, held)
    refuse(folder, found)
    made = rebuild.plan(folder, found)
    for sentence in told(folder, found, made.peers):
        people.say(sentence)
    if not people.agreed():
        raise RingError("nothing was changed")
    rebuild.swap(folder, rebuild.build(folder, made, found, files), files)
    assert found.survivor is not None
    epoch, index = found.survivor.last
    return {
        **_done(RingFolder(folder.path, made)),
        "survivor": found.survivor.peer,
        "epoch": epoch,
        "index": index,
        "committed": found.committed,
        "volumes": {str(one.peer): one.condition.value for one in found.found},
    }


def _done(folder: RingFolder) -> dict[str, object]:
    made = folder.made
    return {
        "ring": made.ring,
        "former": made.former[-1],
        "peers": made.peers,
        "set_aside": str(folder.set_aside(made.former[-1])),
    }


def _hold_all(folder: RingFolder, held: ExitStack) -> None:
    for peer in folder.ordinals():
        try:
            hold(folder.volume(peer) / "lock", held)
        except Locked:
            raise RingError(_in_use(folder, [peer])) from None


def _in_use(folder: RingFolder, peers: list[int]) -> str:
    return (
        f"a running process holds the volume of peer {_listed(peers)} in {folder.path}: end its "
        "`bazaar up` first. Nothing was changed."
    )


def refuse(folder: RingFolder, found: Survey) -> None:
    """See that a person has something to decide.

    Raises:
        RingError: a process runs, the ring needs no recovery, or there is nothing to recover.
    """
    locked = [one.peer for one in found.of(Condition.LOCKED)]
    if locked:
        raise RingError(_in_use(folder, locked))
    if found.state is None:
        raise RingError(
            f"no volume in {folder.path} is whole, so there is nothing to recover from:\n  "
            + "\n  ".join(_line(one) for one in found.found)
            + "\nRestore at least one whole peer's folder from a copy. Nothing was changed."
        )
    if found.has_majority:
        raise RingError(
            f"{_count(found)}, which is a majority: ring {folder.made.ring} needs no recovery. "
            f"Start it with `bazaar up --data {folder.path}`; a lost minority heals by itself. "
            "Nothing was changed."
        )


def told(folder: RingFolder, found: Survey, peers: int) -> list[str]:
    """Say what is there, what is known of it, what is lost, and what would be done."""
    best = found.survivor
    assert best is not None
    epoch, index = best.last
    known = f"All of its entries up to index {found.committed} are known to be committed."
    if found.committed < index:
        known = (
            f"Its entries up to index {found.committed} are known to be committed. Those from "
            f"{found.committed + 1} to {index} were perhaps acknowledged, perhaps never; the new "
            "ring keeps them."
        )
    return [
        f"ring {folder.made.ring} in {folder.path}:",
        *(f"  {_line(one)}" for one in found.found),
        f"{_count(found)}; {majority(found.voters)} are a majority. So the ring cannot go on.",
        f"The best survivor is peer {best.peer}: its journal goes up to index {index} of epoch "
        f"{epoch}. {known}",
        "What only the lost or damaged volumes had is lost, even if it was acknowledged.",
        f"A new ring of {peers} peers would begin with all that peer {best.peer} has. The volumes "
        f"that are here would move to {folder.set_aside(folder.made.ring)}; none is deleted.",
    ]


def _count(found: Survey) -> str:
    whole = {one.life for one in found.of(Condition.WHOLE)}
    left = [voter for voter in found.voters if voter in whole]
    return f"{len(left)} of the ring's {len(found.voters)} voters have whole volumes"


def _line(one: Found) -> str:
    if one.condition is Condition.WHOLE:
        return f"peer {one.peer}: whole, up to index {one.last[1]} of epoch {one.last[0]}"
    return f"peer {one.peer}: {one.condition.value}" + (f": {one.why}" if one.why else "")


def _listed(peers: list[int]) -> str:
    return ", ".join(map(str, peers))
