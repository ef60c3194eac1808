"""What is left of a ring's volumes: each one audited as at a peer's start, and none changed.

A *whole* volume is one that its peer could start from. A *damaged* one has lost something that it
acknowledged (D2), so it is not believed; a *lost* one is gone. What a process holds open is not
looked at. The best survivor is the whole volume whose journal ends last, by epoch, then by index
(R9): whatever any other of them knows to be committed, it holds too.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from bazaar_peer.command.ring_folder import RingError, RingFolder
from bazaar_peer.core import quorum
from bazaar_peer.core.effects import Recovered
from bazaar_peer.core.messages import MembersChanged, decode_record
from bazaar_peer.core.records import voters_of
from bazaar_peer.core.state import State
from bazaar_peer.core.types import (
    NOBODY,
    ORIGIN,
    PeerId,
    Position,
    ordinal_of,
    peer_id,
)
from bazaar_peer.runtime.disk import Volume
from bazaar_peer.runtime.files import Damaged, Locked, Missing, Untouched, VolumeError
from bazaar_peer.runtime.salvage import LOOK, end_of, executed, members_of, next_incarnation
from bazaar_peer.runtime.volume import Identity


class Condition(Enum):
    """What became of a volume."""

    WHOLE = "whole"
    DAMAGED = "damaged"
    LOST = "lost"
    LOCKED = "in use"


@dataclass(frozen=True, kw_only=True)
class Found:
    """One peer's volume; the journal's end, and what it knows to be committed, if it is whole."""

    peer: int
    condition: Condition
    why: str = ""
    life: int = NOBODY
    last: Position = ORIGIN
    committed: int = 0
    promised: int = 0


@dataclass
class Survey:
    """All volumes of a ring, and the state that the best survivor's whole journal comes to."""

    found: list[Found] = field(default_factory=list)
    survivor: Found | None = None
    state: State | None = None
    """Of everything in that journal, also of what is not known to be committed."""

    def of(self, condition: Condition) -> list[Found]:
        return [one for one in self.found if one.condition is condition]

    @property
    def members(self) -> MembersChanged:
        """The newest members in the best surviving journal, committed or not (R9)."""
        assert self.state is not None
        return members_of(self.state)

    @property
    def voters(self) -> tuple[PeerId, ...]:
        return voters_of(self.members)

    @property
    def has_majority(self) -> bool:
        """Tell whether the whole volumes are a majority: then the ring goes on by itself."""
        whole = {one.life for one in self.of(Condition.WHOLE)}
        return self.state is not None and quorum.reached(self.voters, whole)

    @property
    def committed(self) -> int:
        """Up to where the survivor's journal is known to be committed, by any whole volume."""
        assert self.survivor is not None
        known = max(one.committed for one in self.of(Condition.WHOLE))
        return min(known, self.survivor.last[1])

    def next_incarnation(self) -> int:
        """Return a number above that of every life that any volume tells of."""
        assert self.state is not None
        return next_incarnation(self.state, (one.life for one in self.found))


def survey(folder: RingFolder, held: ExitStack) -> Survey:
    """Look at every volume; their locks are `held`, so that no peer starts meanwhile."""
    result, best = Survey(), None
    for peer in folder.ordinals():
        one, recovered = _look(folder, peer, held)
        result.found.append(one)
        first = result.survivor is None or one.last > result.survivor.last
        if recovered is not None and one.last > ORIGIN and first:
            result.survivor, best = one, recovered
    if best is not None:
        try:
            result.state = executed(best)
        except VolumeError as wrong:
            raise RingError(str(wrong)) from wrong
        places = {ordinal_of(member.id) for member in result.members.members}
        known = {one.peer for one in result.found}
        lost = [Found(peer=p, condition=Condition.LOST) for p in places - known]
        # A folder that is gone of a peer that was removed before is nothing that the ring lost.
        gone = [o for o in result.of(Condition.LOST) if o.peer not in places]
        stay = [one for one in result.found if one not in gone]
        result.found = sorted([*stay, *lost], key=lambda one: one.peer)
    return result


def _look(folder: RingFolder, peer: int, held: ExitStack) -> tuple[Found, Recovered | None]:
    path = folder.volume(peer)
    try:
        volume = Volume.open(path, Identity(folder.made.ring, peer, 0), LOOK, Untouched())
    except Locked:
        return Found(peer=peer, condition=Condition.LOCKED), None
    except VolumeError as wrong:
        try:  # a process may run on a volume whose identity was taken from it
            hold(path / "lock", held)
        except Locked:
            return Found(peer=peer, condition=Condition.LOCKED), None
        return _unreadable(peer, wrong), None
    held.callback(volume.close)
    try:
        recovered = volume.recover()
    except VolumeError as wrong:
        return _unreadable(peer, wrong, peer_id(peer, volume.identity.incarnation)), None
    return _whole(peer, volume.identity.incarnation, recovered), recovered


def _unreadable(peer: int, wrong: VolumeError, life: int = NOBODY) -> Found:
    if isinstance(wrong, Missing):
        return Found(peer=peer, condition=Condition.LOST)
    why = wrong.what if isinstance(wrong, Damaged) else str(wrong)
    return Found(peer=peer, condition=Condition.DAMAGED, why=why, life=life)


def _whole(peer: int, incarnation: int, recovered: Recovered) -> Found:
    told = (decode_record(stored.blob).committed for stored in recovered.records)
    return Found(
        peer=peer,
        condition=Condition.WHOLE,
        life=peer_id(peer, incarnation),
        last=end_of(recovered),
        committed=max(recovered.base_index, max(told, default=0)),
        promised=recovered.hard.promised,
    )


def hold(path: Path, held: ExitStack) -> None:
    """Lock a file or folder, if it is there, until `held` ends.

    Raises:
        Locked: a process has it.
    """
    if not path.exists():
        return
    lock = os.open(path, os.O_RDONLY)
    held.callback(os.close, lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Locked(f"{path} is locked by a running process") from None
