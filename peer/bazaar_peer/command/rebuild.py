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
from bazaar_peer.core.messages import Member, MembersChanged
from bazaar_peer.core.state import State
from bazaar_peer.core.types import incarnation_of, ordinal_of, peer_id
from bazaar_peer.runtime.files import Files, unused
from bazaar_peer.runtime.salvage import (
    Beginning,
    begin,
    keep_origin,
    next_members,
    write_volume,
)
from bazaar_peer.runtime.volume import Identity

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


def members(made: RingFile, state: State, incarnation: int) -> MembersChanged:
    """Return the members of the next ring: all of them voters, and none of them a life that was."""
    first = tuple(Member(peer_id(peer, incarnation)) for peer in range(made.peers))
    return next_members(state, first, ring=made.ring, former=made.former[-1])


def build(folder: RingFolder, made: RingFile, found: Survey, files: Files) -> RingFolder:
    """Make the next ring beside the former one, ring.json last; what an earlier run left goes."""
    assert found.state is not None
    nxt = RingFolder(folder.recovering, made)
    if nxt.path.exists():
        shutil.rmtree(nxt.path)
    first = members(made, found.state, found.next_incarnation())
    begins = begin(found.state, first, max(one.promised for one in found.found))
    write_ring(nxt, begins, files)
    return nxt


def write_ring(folder: RingFolder, begins: Beginning, files: Files) -> None:
    """Write a whole ring that begins with a state: its volumes, its archive, ring.json last."""
    archive = folder.path / "archive"
    archive.mkdir(parents=True, exist_ok=True)
    keep_origin(archive, begins, files)
    for member in begins.members.members:
        identity = Identity(folder.made.ring, ordinal_of(member.id), incarnation_of(member.id))
        write_volume(folder.volume(identity.ordinal), identity, begins, files)
    ring_folder.finish(folder)


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
