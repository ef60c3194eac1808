"""From the best volume that a ring has left to the first entry of the next ring (R14).

What both recoveries share: `bazaar recover` on one machine, a pod's in place (recovering.py).
The next ring has an id of its own and lives that never were, begins with everything in the whole
journal of one volume, committed or not, and above every epoch that was promised on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bazaar_peer.core.effects import (
    Hard,
    InstallCheckpoint,
    Recovered,
    StorePart,
    WriteHard,
    WriteRecord,
)
from bazaar_peer.core.journal import store
from bazaar_peer.core.messages import Member, MembersChanged, Record, Stored, decode_record
from bazaar_peer.core.records import UNREADABLE
from bazaar_peer.core.state import State
from bazaar_peer.core.types import NOBODY, Position, incarnation_of, ordinal_of, peer_id
from bazaar_peer.market.market import Market
from bazaar_peer.runtime.checkpoint_file import CheckpointWriter, read_checkpoint
from bazaar_peer.runtime.disk import Volume
from bazaar_peer.runtime.ends import Place
from bazaar_peer.runtime.files import Damaged, Files, Reserve, VolumeError
from bazaar_peer.runtime.volume import Identity, Layout, format_volume

LOOK = Layout(reserve_bytes=0)
BUILD = Layout(segment_bytes=1024 * 1024, reserve_bytes=0)
"""A peer takes the rest of its space when it starts."""


def end_of(recovered: Recovered) -> Position:
    """Return where a volume's journal ends."""
    if recovered.records:
        return (recovered.records[-1].epoch, recovered.records[-1].last)
    return (recovered.base_epoch, recovered.base_index)


def executed(recovered: Recovered) -> State:
    """Execute a volume's checkpoint and its whole journal.

    Raises:
        VolumeError: it is of a format that this release does not know.
    """
    state = restored(recovered.parts)
    try:
        for stored in recovered.records:
            state.apply(decode_record(stored.blob), stored.chain)
    except (*UNREADABLE, KeyError, msgspec.MsgspecError) as wrong:
        raise VolumeError(f"the surviving journal is of a format unknown here: {wrong}") from wrong
    return state


def restored(parts: Iterable[bytes]) -> State:
    """Return the state of a checkpoint, of none at all if it has no parts.

    Raises:
        VolumeError: it is of a format that this release does not know, or of a later version.
    """
    state = State(Market)
    try:
        for part in parts:
            state.restore(part)
    except (*UNREADABLE, KeyError, msgspec.MsgspecError) as wrong:
        raise VolumeError(f"the checkpoint is of a format unknown here: {wrong}") from wrong
    if why := state.beyond_release():
        raise VolumeError(why)
    return state


def backed_up(file: Path) -> State:
    """Read the state that a backup holds.

    Raises:
        VolumeError: it is no backup, or not a whole one, or of a format unknown here.
    """
    try:
        parts = read_checkpoint(Files(), file)[1]
    except Damaged as wrong:  # its sentence is about volumes
        raise VolumeError(f"{file.name} is no backup, or not a whole one: {wrong.what}") from wrong
    state = restored(parts)
    if state.members is None:
        raise VolumeError(f"{file.name} is no backup: it holds no ring")
    return state


def members_of(state: State) -> MembersChanged:
    """Return the newest members of the journal that came to this state, committed or not (R9)."""
    assert state.members is not None
    return state.members


def next_incarnation(state: State, others: Iterable[int] = ()) -> int:
    """Return a number above that of every life that the state, or anybody else, tells of."""
    members = members_of(state)
    lives = {*members.retired, *state.clock, *(member.id for member in members.members), *others}
    return 1 + max(incarnation_of(life) for life in lives)


def one_voter(me: int, size: int, incarnation: int, volume: str) -> tuple[Member, ...]:
    """Return the members of a ring that one peer makes.

    The others' places are kept: each is a learner until an empty volume asks for its place.
    """
    return tuple(
        Member(peer_id(peer, incarnation), voter=peer == me, volume=volume if peer == me else "")
        for peer in range(max(size, me + 1))
    )


def next_members(
    state: State, members: tuple[Member, ...], *, ring: str, former: str
) -> MembersChanged:
    """Return the next ring's first members; of other ordinals it knows which lives are over."""
    old = members_of(state)
    there = {ordinal_of(member.id) for member in members}
    lives = [*old.retired, *(member.id for member in old.members)]
    return MembersChanged(
        members,
        ring,
        old.limits,
        old.machine,
        retired=tuple(life for life in lives if ordinal_of(life) not in there),
        recovered_from=f"{former}:{state.index}",
    )


@dataclass(frozen=True)
class Beginning:
    """What a volume of the next ring begins with."""

    members: MembersChanged
    place: Place
    """Where the former ring's journal ended."""
    before: list[bytes]
    """The state there."""
    first: Stored
    after: list[bytes]
    """The state behind the first record."""


def begin(state: State, members: MembersChanged, promised: int) -> Beginning:
    """Take the state into the next ring; `promised`: the highest epoch that anybody promised."""
    # Above every promise, so that nobody's is broken (S2).
    epoch = 1 + max(state.epoch, promised)
    record = Record(epoch, state.index + 1, state.index, 0, {}, [members])
    first, before = store(record, state.chain), list(state.snapshot())
    place = Place(state.epoch, state.index, state.chain)
    state.apply(record, first.chain)
    return Beginning(members, place, before, first, list(state.snapshot()))


def keep_origin(folder: Path, begins: Beginning, files: Files) -> None:
    """Keep the former ring's state: peers drop it for their next checkpoint, audits need it."""
    writer = CheckpointWriter(files, folder / "saving", Reserve(files, folder, 0), begins.place)
    for part in begins.before:
        writer.write(part)
    writer.finish(begins.place, 0)


def write_volume(path: Path, identity: Identity, begins: Beginning, files: Files) -> None:
    """Make a volume of the next ring; an interrupted attempt is begun anew in another folder."""
    format_volume(path, identity, begins.members, BUILD, files)
    volume = Volume.open(path, identity, BUILD, files)
    try:
        volume.recover()
        _fill(volume, begins)
    finally:
        volume.close()


def _fill(volume: Volume, begins: Beginning) -> None:
    """Write what a peer does that copies a checkpoint (C3), gets one record, and applies it."""
    place, first = begins.place, begins.first
    for number, part in enumerate(begins.before):
        volume.store_part(StorePart(place.last, number, part))
    volume.perform(
        [
            WriteHard(1, Hard(promised=first.epoch, promised_to=NOBODY)),
            InstallCheckpoint(2, *place, keep_suffix=False),
            WriteRecord(3, first),
        ]
    )
    # Every voter has the record: it is committed, and its members are those of the ring.
    writer = volume.checkpoint(first.epoch, first.last)
    for part in begins.after:
        writer.write(part)
    volume.save(writer)
