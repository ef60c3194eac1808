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
from collections.abc import Callable
from pathlib import Path

import msgspec

from bazaar_peer.command import ring_folder
from bazaar_peer.command.ring_folder import RingFile, RingFolder
from bazaar_peer.command.survey import Survey
from bazaar_peer.core.effects import Hard, InstallCheckpoint, StorePart, WriteHard, WriteRecord
from bazaar_peer.core.journal import store
from bazaar_peer.core.messages import Member, MembersChanged, Record, Stored
from bazaar_peer.core.types import NOBODY, ordinal_of, peer_id
from bazaar_peer.runtime.checkpoint_file import CheckpointWriter
from bazaar_peer.runtime.disk import Volume
from bazaar_peer.runtime.ends import Place
from bazaar_peer.runtime.files import Files, Reserve
from bazaar_peer.runtime.volume import Identity, Layout, format_volume

BUILD = Layout(reserve_bytes=0)
"""A peer sets its reserve aside when it starts."""
Step = Callable[[], None]


def plan(folder: RingFolder, found: Survey) -> RingFile:
    """Describe the next ring: a new id, and as many peers as the ring wished for at last."""
    assert found.state is not None
    return msgspec.structs.replace(
        folder.made,
        ring=ring_folder.new_ring_id(),
        peers=found.state.sessions.admission.size,
        former=[*folder.made.former, folder.made.ring],
    )


def first_record(former: str, made: RingFile, found: Survey) -> Stored:
    """Make the record by which the next ring begins: its members, behind the recovered state."""
    state, old = found.state, found.members
    assert state is not None
    incarnation = found.next_incarnation()
    lives = [*old.retired, *(member.id for member in old.members)]
    change = MembersChanged(
        tuple(Member(peer_id(peer, incarnation)) for peer in range(made.peers)),
        made.ring,
        old.limits,
        old.machine,
        retired=tuple(life for life in lives if ordinal_of(life) >= made.peers),
        recovered_from=f"{former}:{state.index}",
    )
    # Above every epoch that a whole volume promised: nobody may find its promise broken (S2).
    epoch = 1 + max(state.epoch, *(one.promised for one in found.found))
    return store(Record(epoch, state.index + 1, state.index, 0, {}, [change]), state.chain)


def build(folder: RingFolder, made: RingFile, found: Survey) -> None:
    """Make the next ring beside the former one, ring.json last; what an earlier run left goes."""
    state = found.state
    assert state is not None
    if folder.recovering.exists():
        shutil.rmtree(folder.recovering)
    nxt = ring_folder.make_ring(folder.recovering, made)
    for name in ("logs", "stats"):  # those stay where they are
        (nxt.path / name).rmdir()
    first = first_record(folder.made.ring, made, found)
    parts = list(state.snapshot())
    place = Place(state.epoch, state.index, state.chain)
    for peer in range(made.peers):
        _fill(nxt.volume(peer), made.ring, peer, place, parts, first)
    files, archive = Files(), nxt.path / "archive"
    writer = CheckpointWriter(files, archive / "saving", Reserve(files, archive / "none", 0), place)
    for part in parts:
        writer.write(part)
    writer.finish(place, 0)
    ring_folder.finish(nxt)


def _fill(
    path: Path, ring: str, peer: int, place: Place, parts: list[bytes], first: Stored
) -> None:
    """Make a volume as if its peer had copied the state and then got the first record."""
    change = msgspec.msgpack.decode(first.blob, type=Record).entries[0]
    assert isinstance(change, MembersChanged)
    life = next(member.id for member in change.members if ordinal_of(member.id) == peer)
    identity = Identity(ring, peer, life >> 16)
    format_volume(path, identity, change, BUILD)
    volume = Volume.open(path, identity, BUILD)
    try:
        volume.recover()
        for number, part in enumerate(parts):
            volume.store_part(StorePart(place.last, number, part))
        volume.perform(
            [
                WriteHard(1, Hard(promised=first.epoch, promised_to=NOBODY)),
                InstallCheckpoint(2, *place, keep_suffix=False),
                WriteRecord(3, first),
            ]
        )
    finally:
        volume.close()


def swap(folder: RingFolder, nxt: RingFolder, files: Files) -> Path:
    """Let the next ring, which is whole, take the former one's place; return where that went."""
    aside = folder.set_aside(folder.made.ring)
    aside.mkdir(parents=True, exist_ok=True)
    for path in (folder.path, aside.parent):
        files.sync_folder(path)
    copy = RingFolder(aside, folder.made)
    ring_folder.finish(copy)  # so that `bazaar verify` can audit what is set aside
    for old in sorted({*folder.path.glob("peer-*"), *nxt.path.glob("peer-*")}, key=_name):
        _replace(folder.path / old.name, nxt.path / old.name, aside / old.name, files)
    _replace(folder.path / "archive", nxt.path / "archive", aside / "archive", files)
    ring_folder.finish(RingFolder(folder.path, nxt.made))
    clean(folder)
    return aside
