"""A ring that begins with a backup (R14): what its first peer does with the file that it is given.

The ring's settings name the backup by its mark, so no other one is taken for it. Its first peer
waits for the file (`awaiting`), and says that it is empty once it has it: from then on all goes as
with any new ring, and whoever makes it records the volume's name before it is formatted. So a
volume that was lost since is never formatted with the backup again, whatever it is given.
The new ring has an id and lives of its own. That peer is its only voter at first; the others join
with empty volumes, and copy.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from aiohttp import web

from bazaar_peer.core.state import State
from bazaar_peer.market.market import Market
from bazaar_peer.runtime.checkpoint_file import Passing
from bazaar_peer.runtime.files import DiskError, Files, VolumeError
from bazaar_peer.runtime.problems import Problem
from bazaar_peer.runtime.recovering import build_beside, discard, finish_recovering
from bazaar_peer.runtime.salvage import (
    backed_up,
    begin,
    members_of,
    next_incarnation,
    next_members,
    one_voter,
)
from bazaar_peer.runtime.settings import ProcessSettings
from bazaar_peer.runtime.volume import Identity

FIRST = 0
"""The peer that is given the backup."""
KEPT, COMING = "backup-", "backup.new"
"""The file is kept under its mark: one that was given for another ring is none of this one's."""
BACKUP_MAX_BYTES = 1 << 30
SLICE_BYTES = 256 * 1024
COMES_S, PIECE_S = 600.0, 30.0
AWAITING = "awaiting"
"""The state of a first peer that has yet to be given its ring's backup."""
GIVEN = "it has the backup that its ring begins with"


def awaits(settings: ProcessSettings) -> bool:
    """Tell whether this peer's ring begins with a backup that the peer has yet to be given."""
    return _is_first(settings) and not file_of(settings).exists()


def file_of(settings: ProcessSettings) -> Path:
    """Return where the backup is kept until the ring has begun with it."""
    return Path(settings.volume) / f"{KEPT}{settings.restores}"


def why_awaiting(settings: ProcessSettings) -> str:
    return (
        f"its ring begins with backup {settings.restores}: give that to this peer with"
        " `bazaar restore FILE --url URL`"
    )


def _is_first(settings: ProcessSettings) -> bool:
    return settings.restores != "" and settings.me == FIRST and not settings.former


async def take(request: web.Request, settings: ProcessSettings) -> dict[str, object]:
    """Keep the backup that comes, if it is whole, and the very one that the ring begins with.

    Raises:
        Problem: it is not, or does not come in time, or there is no room; nothing is kept then.
    """
    if not _is_first(settings):
        raise Problem(409, _not_here(settings))
    path = Path(settings.volume)
    coming = path / COMING
    try:
        async with asyncio.timeout(COMES_S):
            mark = await _keep(request, coming)
        if mark != settings.restores:
            said = f"this is backup {mark}" if mark else "this is no backup, or not a whole one"
            raise Problem(409, f"{said}: the ring is to begin with {settings.restores}")
        state = await asyncio.to_thread(backed_up, coming)
        compare(state, settings)
        Files().rename(coming, file_of(settings))
        Files().sync_folder(path)
    except TimeoutError:
        raise Problem(408, "the backup did not come in time: give it again") from None
    except VolumeError as wrong:
        raise Problem(409, str(wrong)) from wrong
    except (OSError, DiskError) as error:
        raise Problem(507, f"the volume cannot take the backup ({error}): enlarge it") from error
    finally:
        coming.unlink(missing_ok=True)
    return {
        "outcome": "given",
        "backup": mark,
        "ring": members_of(state).ring,
        "index": state.index,
    }


async def _keep(request: web.Request, file: Path) -> str:
    """Write what comes to a file, durably; return its mark, or nothing if it is none."""
    passing = Passing()
    with file.open("wb") as kept:
        while piece := await asyncio.wait_for(request.content.read(SLICE_BYTES), PIECE_S):
            passing.take(piece)
            if passing.bytes > BACKUP_MAX_BYTES:
                raise Problem(413, f"a backup has at most {BACKUP_MAX_BYTES} bytes")
            await asyncio.to_thread(kept.write, piece)
        kept.flush()
        await asyncio.to_thread(os.fsync, kept.fileno())
    found = passing.whole()
    return found[1] if found else ""


def compare(state: State, settings: ProcessSettings) -> None:
    """See that the ring's settings do not say otherwise than the backup.

    Raises:
        Problem: they do.
    """
    machine = state.machine
    assert isinstance(machine, Market)
    found = machine.settings.commission_bp
    if found != settings.commission_bp:
        raise Problem(
            409,
            f"the backup's ring takes {found} basis points of commission, and this one is to take"
            f" {settings.commission_bp}: make it with the backup's",
        )


def begin_with_backup(settings: ProcessSettings, volume: str, files: Files | None = None) -> None:
    """Make the first volume, called `volume`, of what the backup holds; the folder is locked.

    Raises:
        VolumeError: the backup is damaged. DiskFull: there is no room for the volume.
        Problem: the settings are others than when it was given.
    """
    files, path, me = files or Files(), Path(settings.volume), settings.me
    state = backed_up(file_of(settings))
    compare(state, settings)
    incarnation = next_incarnation(state)
    first = one_voter(me, settings.peers, incarnation, volume)
    members = next_members(state, first, ring=settings.ring, former=members_of(state).ring)
    identity = Identity(settings.ring, me, incarnation, volume)
    discard(path, files)
    build_beside(path, identity, begin(state, members, 0), settings.archive, files)
    finish_recovering(path, files)
    files.remove(file_of(settings))


def _not_here(settings: ProcessSettings) -> str:
    if settings.restores == "" or settings.former:
        return "this ring does not begin with a backup: spec.storage.restoreFrom names one"
    return f"peer {FIRST} is given the backup; this is peer {settings.me}, and copies from it"
