"""A ring's backup: fetched from a peer that serves, given to one that waits for it, or made a ring.

The file is checked on its way (`Passing`), whichever way it goes: what is cut short or changed is
never taken for a backup.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp

from bazaar_peer.command import rebuild, ring_folder
from bazaar_peer.command.client import CallError, no_answer, why_refused
from bazaar_peer.command.ring_folder import RingError, RingFile
from bazaar_peer.core.state import State
from bazaar_peer.market.market import Market
from bazaar_peer.runtime.checkpoint_file import Passing, digest_in
from bazaar_peer.runtime.credential import admin_headers
from bazaar_peer.runtime.files import Files, VolumeError
from bazaar_peer.runtime.restoring import BACKUP_MAX_BYTES, SLICE_BYTES
from bazaar_peer.runtime.salvage import backed_up, begin, members_of, next_incarnation

PATH = "/v1/backup"
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=60)
CUT_SHORT = "the backup broke off, or is none: try again, or ask another peer"
Told = dict[str, Any]


def told_of(passing: Passing) -> Told:
    """Describe a file that has passed.

    Raises:
        CallError: it is no backup, or not a whole one.
    """
    found = passing.whole()
    if found is None:
        raise CallError(CUT_SHORT)
    place, mark = found
    return {"backup": mark, "epoch": place.epoch, "index": place.last, "bytes": passing.bytes}


async def fetch(url: str, file: Path | None, token: str) -> Told:
    """Read a backup into a file, which is there whole or not at all; None: standard output.

    Raises:
        CallError: no peer answers there, it refuses, or the answer broke off.
        OSError: the file cannot be written.
    """
    if file is None:
        return await _pass_on(url, token, sys.stdout.buffer.write)
    coming = file.with_name(f"{file.name}.new")
    try:
        # It holds whose every key is: nobody else's eyes.
        with os.fdopen(os.open(coming, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as kept:
            told = await _pass_on(url, token, kept.write)
            kept.flush()
            os.fsync(kept.fileno())
        coming.rename(file)
        Files().sync_folder(file.parent)
    finally:
        coming.unlink(missing_ok=True)
    return told


async def _pass_on(url: str, token: str, write: Callable[[bytes], object]) -> Told:
    passing = Passing()
    try:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT, headers=admin_headers(token)) as http,
            http.get(url + PATH) as answer,
        ):
            if answer.status != 200:
                raise await _refused(answer)
            ring = answer.headers.get("Bazaar-Index", "").rpartition(":")[0]
            async for piece in answer.content.iter_chunked(SLICE_BYTES):
                passing.take(piece)
                if passing.bytes > BACKUP_MAX_BYTES:
                    raise CallError(f"more than {BACKUP_MAX_BYTES} bytes: no ring takes that")
                write(piece)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise CallError(f"no backup from {url}: {no_answer(error)}") from error
    return {"ring": ring, **told_of(passing)}


async def give(url: str, file: Path | None, token: str) -> Told:
    """Give a backup to a peer that waits for it; None: what standard input has.

    Raises:
        CallError: nobody answers there, or it is not taken. OSError: it cannot be read.
    """
    try:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT, headers=admin_headers(token)) as http,
            http.put(url + PATH, data=_pieces(file)) as answer,
        ):
            if answer.status != 200:
                raise await _refused(answer)
            found: Told = await answer.json()
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise CallError(f"{url} does not take the backup: {no_answer(error)}") from error
    return found


async def _pieces(file: Path | None) -> AsyncIterator[bytes]:
    if file is None:
        while piece := sys.stdin.buffer.read(SLICE_BYTES):
            yield piece
        return
    with file.open("rb") as kept:
        while piece := kept.read(SLICE_BYTES):
            yield piece


async def _refused(answer: aiohttp.ClientResponse) -> CallError:
    try:
        problem = await answer.json(content_type=None)
    except (aiohttp.ClientError, ValueError):
        problem = None
    return CallError(why_refused(problem, answer.status), answer.status)


def make(file: Path, folder: Path, peers: int | None) -> Told:
    """Make a ring of a backup in a folder of its own; `bazaar up` starts it.

    `peers`: None: as many as the ring of the backup wished for.

    Raises:
        RingError: there is something in the folder, or the file is no backup. Nothing was made.
    """
    if folder.exists() and any(folder.iterdir()):
        raise RingError(f"{folder} is not empty: a backup becomes a ring in a folder of its own")
    state = _read(file)
    files, place = Files(), folder.resolve()
    # Whole under its name, or not there: `bazaar up` would make an empty ring of half a one.
    beside = place if place.exists() else place.parent
    beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=beside, prefix=f".{place.name}-") as building:
        whole = Path(building) / "ring"
        told = _make(state, whole, peers)
        if beside == place:  # it may be a volume's mount, which nothing takes the place of
            for entry in sorted(whole.iterdir(), key=lambda entry: entry.name == ring_folder.FILE):
                files.rename(entry, place / entry.name)
        else:
            files.rename(whole, place)
        files.sync_folder(beside)
    return told | {"folder": str(folder)}


def _make(state: State, folder: Path, peers: int | None) -> Told:
    market = _market(state)
    former = members_of(state).ring
    made = RingFile(
        ring=ring_folder.new_ring_id(),
        peers=state.sessions.admission.size if peers is None else peers,
        commission_bp=market.settings.commission_bp,
        limits=state.sessions.limits,
        former=[former],
    )
    index = state.index
    begins = begin(state, rebuild.members(made, state, next_incarnation(state)), 0)
    rebuild.write_ring(ring_folder.make_ring(folder, made), begins, Files())
    return {"ring": made.ring, "former": former, "peers": made.peers, "index": index}


def described(file: Path) -> Told:
    """Tell what a file holds.

    Raises:
        RingError: it is no backup, or not a whole one.
    """
    state = _read(file)
    return {
        "ring": members_of(state).ring,
        "backup": digest_in(file),
        "epoch": state.epoch,
        "index": state.index,
        "bytes": file.stat().st_size,
        "peers": state.sessions.admission.size,
        "commission_bp": _market(state).settings.commission_bp,
    }


def _read(file: Path) -> State:
    if not file.is_file():
        raise RingError(f"there is no file {file}")
    try:
        return backed_up(file)
    except VolumeError as wrong:
        raise RingError(str(wrong)) from wrong


def _market(state: State) -> Market:
    assert isinstance(state.machine, Market)
    return state.machine
