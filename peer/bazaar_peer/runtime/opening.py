"""A process's way to a volume that it may run from, waiting for it where it must (K1, R14)."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path

from bazaar_peer.core.effects import Recovered
from bazaar_peer.runtime.disk import Volume
from bazaar_peer.runtime.files import (
    Damaged,
    DiskFull,
    Files,
    Locked,
    Missing,
    VolumeError,
    WrongRing,
)
from bazaar_peer.runtime.joining import Lying, join
from bazaar_peer.runtime.log_files import archive_place
from bazaar_peer.runtime.recovering import WHOLE, end_in, finish_recovering, recover_in_place
from bazaar_peer.runtime.restoring import KEPT as BACKUP
from bazaar_peer.runtime.set_aside import FLAG, finish_setting_aside
from bazaar_peer.runtime.settings import ProcessSettings
from bazaar_peer.runtime.volume import Identity, Layout, locked
from bazaar_peer.runtime.waiting import Waiting

log = logging.getLogger("bazaar.process")

LOCK_RETRY_S = 0.2
FULL_RETRY_S = 5.0
FOREIGN_RETRY_S = 5.0


async def opened(settings: ProcessSettings, waiting: Waiting) -> tuple[Volume, Recovered]:
    """Open the volume; one that is lost or damaged joins the ring anew, without a vote (R14).

    Where the ring has certificates, this peer's own is waited for first.

    Raises:
        VolumeError: it is another ring's, or another peer's; in a cluster it is waited for.
        DiskFull: there is no space even to start; in a cluster it is waited for.
        NotWanted: the ring has no place for this peer; in a cluster it is waited for.
    """
    if waiting.certificates is not None:
        await waiting.certificates.usable(lambda why: waiting.tell("starting", why))
    while True:
        try:
            try:
                return await asyncio.to_thread(open_volume, settings)
            except Missing:
                await join(settings, waiting)
            except Damaged as lost:
                log.warning("volume_lost", extra={"fields": {"why": str(lost)}})
                await join(settings, waiting, Lying("damaged", str(lost)))
            except WrongRing as other:
                if not settings.in_cluster:
                    raise
                await _of_another_ring(settings, waiting, other)
        except Locked as wait:
            waiting.tell("locked", str(wait))
            await asyncio.sleep(LOCK_RETRY_S)
        except DiskFull as full:
            if not settings.in_cluster:
                raise
            waiting.tell("full", f"its volume is full ({full}): make room on it, or enlarge it")
            await asyncio.sleep(FULL_RETRY_S)


async def _of_another_ring(settings: ProcessSettings, waiting: Waiting, other: WrongRing) -> None:
    """Make this ring of a former one's volume, or join with an empty one, or wait (R14)."""
    ring, ordinal = other.found
    if ordinal != settings.me or ring not in settings.former:
        waiting.tell("foreign", _adopt(settings, other), found=ring)
        await asyncio.sleep(FOREIGN_RETRY_S)
        return
    path = Path(settings.volume)
    try:
        if settings.recovers == ring:
            waiting.tell("starting", f"ring {settings.ring} is made of its volume of ring {ring}")
            await asyncio.to_thread(
                partial(
                    recover_in_place,
                    *(path, ring, settings.ring, settings.me),
                    archive=settings.archive,
                )
            )
            log.warning("recovered", extra={"fields": {"former": ring, "ring": settings.ring}})
            return
        last = await asyncio.to_thread(end_in, path, ring, settings.me)
    except Locked:
        raise
    except VolumeError as lost:
        if settings.recovers == ring:
            waiting.tell("damaged", _unusable(settings, lost), found=ring)
            await asyncio.sleep(FOREIGN_RETRY_S)
            return
        lying = Lying("damaged", str(lost), ring)
    else:
        why = (
            f"its volume is of ring {ring}, which was given up for ring {settings.ring}: it is set"
            " aside when that has let this peer in"
        )
        lying = Lying("former", why, ring, last)
    await join(settings, waiting, lying)


def _unusable(settings: ProcessSettings, lost: VolumeError) -> str:
    return (
        f"ring {settings.ring} cannot be made of its volume: {lost} Name another peer that has a"
        f" volume: spec.storage.recoverFrom, ring {settings.ring}"
    )


def _adopt(settings: ProcessSettings, other: WrongRing) -> str:
    ring, ordinal = other.found
    if ordinal != settings.me:
        return str(other)
    return (
        f"its volume holds peer {ordinal} of ring {ring}, and this is ring {settings.ring}. To go"
        f" on with that ring, set spec.storage.adoptRing to {ring}; to begin anew, delete the claim"
    )


def open_volume(settings: ProcessSettings) -> tuple[Volume, Recovered]:
    """Open the volume and read it; raises as `Volume.open` and `recover` do."""
    path = Path(settings.volume)
    if (path / FLAG).exists() or (path / WHOLE).exists():
        with locked(path):  # or another process may be at it
            finish_setting_aside(path)
            finish_recovering(path)
    layout = Layout(reserve_bytes=settings.reserve_bytes)
    volume = Volume.open(path, Identity(settings.ring, settings.me, 0), layout)
    files = Files()
    try:
        if settings.archive:
            volume.archive = archive_place(Path(settings.archive), volume.identity.incarnation)
            files.make_folder(volume.archive)
        recovered = volume.recover()
    except BaseException:
        volume.close()
        raise
    for rest in [*path.glob("asks"), *path.glob(f"{BACKUP}*")]:  # of use before it had a life
        files.remove(rest)
        files.sync_folder(path)
    return volume, recovered
