"""A recovery in place: a former ring's volume becomes the first one of the next ring (R14).

In a cluster each volume is reached from its own pod alone, so the peer that the operator names
makes the next ring of its own volume, and the others join it with empty ones:

    1. recovering/ gets a whole new volume; an interruption up to here costs nothing.
    2. It is renamed to recovered/: now it is whole.
    3. The old volume is set aside (set_aside.py), under the former ring's id.
    4. What lies in recovered/ moves into its place, the identity last.

From the third step on every start goes on, whatever its settings: without an identity the folder
holds no volume, so nothing that was promised could be mixed with what was not. All of it is done
under the lock of the volume, and nothing that a peer wrote is deleted.
"""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from bazaar_peer.core.types import Position, peer_id
from bazaar_peer.runtime.disk import Volume
from bazaar_peer.runtime.files import Files, Untouched
from bazaar_peer.runtime.log_files import archive_place
from bazaar_peer.runtime.salvage import (
    LOOK,
    Beginning,
    begin,
    end_of,
    executed,
    keep_origin,
    next_incarnation,
    next_members,
    one_voter,
    write_volume,
)
from bazaar_peer.runtime.set_aside import RECOVERED, set_aside
from bazaar_peer.runtime.volume import Identity

BUILDING, WHOLE = "recovering", RECOVERED
SEAL = "identity"


def recover_in_place(
    path: Path, former: str, ring: str, me: int, *, archive: str = "", files: Files | None = None
) -> None:
    """Make the next ring's first volume of a former ring's.

    `archive`: where this ring's journals are kept, if they are, for audits that go back to here.

    Raises:
        Locked: another process has the volume.
        VolumeError: it is damaged, or cannot be read: it stays as it is.
    """
    files = files or Files()
    volume = Volume.open(path, Identity(former, me, 0), LOOK, Untouched())
    try:
        discard(path, files)
        _build(path, volume, ring, archive, files)
        set_aside(path, former, files)
        finish_recovering(path, files)
    finally:
        volume.close()


def end_in(path: Path, ring: str, me: int) -> Position:
    """Return where the journal of another ring's volume ends; raises as `recover_in_place`."""
    volume = Volume.open(path, Identity(ring, me, 0), LOOK, Untouched())
    try:
        return end_of(volume.recover())
    finally:
        volume.close()


def _build(path: Path, volume: Volume, ring: str, archive: str, files: Files) -> None:
    """Build the new volume beside the old one, which is only read."""
    recovered = volume.recover()
    state, old = executed(recovered), volume.identity
    incarnation = next_incarnation(state, [peer_id(old.ordinal, old.incarnation)])
    name = secrets.token_hex(16)
    first = one_voter(old.ordinal, state.sessions.admission.size, incarnation, name)
    members = next_members(state, first, ring=ring, former=old.ring)
    begins = begin(state, members, recovered.hard.promised)
    build_beside(path, Identity(ring, old.ordinal, incarnation, name), begins, archive, files)


def build_beside(
    path: Path, identity: Identity, begins: Beginning, archive: str, files: Files
) -> None:
    """Have a whole new volume lie in a volume's folder, to be moved into its place."""
    if archive:
        place = archive_place(Path(archive), identity.incarnation)
        files.make_folder(place)
        keep_origin(place, begins, files)
    write_volume(path / BUILDING, identity, begins, files)
    files.remove(path / BUILDING / "lock")
    files.sync_folder(path / BUILDING)
    files.rename(path / BUILDING, path / WHOLE)
    files.sync_folder(path)


def finish_recovering(path: Path, files: Files | None = None) -> None:
    """Go on with a recovery whose old volume was set aside, if there is one; the lock is held."""
    files, whole = files or Files(), path / WHOLE
    if (whole / SEAL).exists():
        if (path / SEAL).exists():
            return  # the old volume is still in its place, and may be anything
        for entry in sorted(whole.iterdir()):
            if entry.name != SEAL:
                files.rename(entry, path / entry.name)
        files.sync_folder(path)
        files.rename(whole / SEAL, path / SEAL)
        files.sync_folder(path)
    if whole.exists():
        shutil.rmtree(whole)


def discard(path: Path, files: Files) -> None:
    """Drop a new volume that never came into its place."""
    if (path / WHOLE / SEAL).exists():
        files.remove(path / WHOLE / SEAL)  # or a rest of it would be taken for a whole one
        files.sync_folder(path / WHOLE)
    for name in (WHOLE, BUILDING):
        if (path / name).exists():
            shutil.rmtree(path / name)
