"""The next ring, made of a survey, and how it takes the former one's place (R14).

    1. DIR/recovering/ gets whole new volumes, an archive with the recovered state, ring.json last.
       An interruption up to here costs nothing: the next run starts over.
    2. DIR/set-aside/<former ring>/ is made: from now on a run goes on, and peers do not start.
    3. Folder by folder the old one moves there, and the new one into its place.
    4. DIR/ring.json is replaced: from now on the next ring exists. DIR/recovering/ goes.

Each step is done once however often it is run; nothing that a peer wrote is deleted.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from bazaar_peer.command import ring_folder
from bazaar_peer.command.ring_folder import RingFile, RingFolder
from bazaar_peer.command.survey import Survey
from bazaar_peer.core.effects import Hard, InstallCheckpoint, StorePart, WriteHard, WriteRecord
from bazaar_peer.core.journal import store
from bazaar_peer.core.messages import Member, MembersChanged, Record, Stored
from bazaar_peer.core.types import NOBODY, incarnation_of, ordinal_of, peer_id
from bazaar_peer.runtime.checkpoint_file import CheckpointWriter
from bazaar_peer.runtime.disk import Volume
from bazaar_peer.runtime.ends import Place
from bazaar_peer.runtime.files import Files, Reserve, unused
from bazaar_peer.runtime.volume import Identity, Layout, format_volume

BUILD = Layout(segment_bytes=1024 * 1024, reserve_bytes=0)
"""A peer takes the rest of its space when it starts."""
ASIDE_TOO = ("size", "archive")
"""What else speaks of the former ring's members and journals; the archive moves last of all."""


def plan(folder: RingFolder, found: Survey) -> RingFile:
    """Describe the next ring: a new id, and as many peers as the former one wished for at last."""
    assert found.state is not None
    return msgspec.structs.replace(
        folder.made,
        ring=ring_folder.new_ring_id(),
        peers=found.state.sessions.admission.size,
        former=[*folder.made.former, folder.made.ring],
    )


def next_members(made: RingFile, found: Survey) -> MembersChanged:
    """Return the members of the next ring: all of them voters, and none of them a life that was."""
    old, state = found.members, found.state
    assert state is not None
    incarnation = found.next_incarnation()
    lives = [*old.retired, *(member.id for member in old.members)]
    return MembersChanged(
        tuple(Member(peer_id(peer, incarnation)) for peer in range(made.peers)),
        made.ring,
        old.limits,
        old.machine,
        retired=tuple(life for life in lives if ordinal_of(life) >= made.peers),
        recovered_from=f"{made.former[-1]}:{state.index}",
    )


def build(folder: RingFolder, made: RingFile, found: Survey, files: Files) -> RingFolder:
    """Make the next ring beside the former one, ring.json last; what an earlier run left goes."""
    state = found.state
    assert state is not None
    nxt = RingFolder(folder.recovering, made)
    if nxt.path.exists():
        shutil.rmtree(nxt.path)
    archive = nxt.path / "archive"
    archive.mkdir(parents=True)
    members = next_members(made, found)
    # Above every epoch that a whole volume promised, so that nobody's promise is broken (S2).
    epoch = 1 + max(state.epoch, *(one.promised for one in found.found))
    record = Record(epoch, state.index + 1, state.index, 0, {}, [members])
    first, before = store(record, state.chain), list(state.snapshot())
    place = Place(state.epoch, state.index, state.chain)
    # Peers drop this checkpoint for their next one, and audits begin with it.
    writer = CheckpointWriter(files, archive / "saving", Reserve(files, archive, 0), place)
    for part in before:
        writer.write(part)
    writer.finish(place, 0)
    state.apply(record, first.chain)
    after = list(state.snapshot())
    for member in members.members:
        identity = Identity(made.ring, ordinal_of(member.id), incarnation_of(member.id))
        path = nxt.volume(identity.ordinal)
        format_volume(path, identity, members, BUILD, files)
        _fill(Volume.open(path, identity, BUILD, files), place, before, first, after)
    ring_folder.finish(nxt)
    return nxt


def _fill(
    volume: Volume, place: Place, before: list[bytes], first: Stored, after: list[bytes]
) -> None:
    """Write what a peer does that copies a checkpoint (C3), gets one record, and applies it."""
    try:
        volume.recover()
        for number, part in enumerate(before):
            volume.store_part(StorePart(place.last, number, part))
        volume.perform(
            [
                WriteHard(1, Hard(promised=first.epoch, promised_to=NOBODY)),
                InstallCheckpoint(2, *place, keep_suffix=False),
                WriteRecord(3, first),
            ]
        )
        # All of them have the record: it is committed, and its members are those of the ring.
        writer = volume.checkpoint(first.epoch, first.last)
        for part in after:
            writer.write(part)
        volume.save(writer)
    finally:
        volume.close()


def swap(folder: RingFolder, nxt: RingFolder, files: Files) -> None:
    """Let the next ring, which is whole, take the former one's place."""
    aside = folder.set_aside(folder.made.ring)
    aside.mkdir(parents=True, exist_ok=True)
    files.sync_folder(aside.parent)
    files.sync_folder(folder.path)
    # What is set aside is a ring's folder too: `bazaar verify` audits it.
    ring_folder.finish(RingFolder(aside, folder.made))
    for peer in sorted({*folder.ordinals(), *nxt.ordinals()}):
        name = folder.volume(peer).name
        if (nxt.path / name).exists() or peer >= nxt.made.peers:
            _replace(folder.path / name, nxt.path / name, aside, files)
    for name in ASIDE_TOO:
        if (nxt.path / "archive").exists():
            _replace(folder.path / name, nxt.path / name, aside, files)
    ring_folder.finish(RingFolder(folder.path, nxt.made))
    clean(folder)


def _replace(old: Path, new: Path, aside: Path, files: Files) -> None:
    """Move the old file or folder aside, then the new one, if there is one, into its place."""
    if old.exists():
        files.rename(old, unused(aside / old.name))
        files.sync_folder(aside)
        files.sync_folder(old.parent)
    if new.exists():
        files.rename(new, old)
        files.sync_folder(old.parent)
        files.sync_folder(new.parent)


def clean(folder: RingFolder) -> None:
    """Drop what is left of the making of a ring that exists now."""
    shutil.rmtree(folder.recovering)
