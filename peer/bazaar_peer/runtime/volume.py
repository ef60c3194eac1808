"""Making and opening a peer's folder: identity, lock, genesis (R14)."""

from __future__ import annotations

import fcntl
import os
import zlib
from pathlib import Path

import msgspec
from msgspec import Struct

from bazaar_peer.core.journal import chain_hash
from bazaar_peer.core.messages import Stored
from bazaar_peer.runtime.files import (
    Damaged,
    Files,
    Locked,
    Missing,
    Reserve,
    VolumeError,
    WrongRing,
    place_file,
)
from bazaar_peer.runtime.journal_file import Journal
from bazaar_peer.runtime.mark_file import Mark, MarkFile

MIB = 1024 * 1024


class Identity(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose volume it is (R14)."""

    ring: str
    ordinal: int
    incarnation: int


class Layout(Struct, frozen=True, kw_only=True):
    """Sizes of a volume; none of them is remembered on it."""

    segment_bytes: int = 16 * MIB
    reserve_bytes: int = 64 * MIB
    archive: Path | None = None
    """Pruned segments move here, a folder of this volume's own on the same file system."""


DEFAULT = Layout()


def format_volume(
    path: Path,
    identity: Identity,
    genesis: Stored,
    layout: Layout = DEFAULT,
    files: Files | None = None,
) -> None:
    """Make a volume whose journal is the genesis record; an interrupted attempt may be repeated.

    Raises:
        VolumeError: something is there already.
    """
    assert (genesis.epoch, genesis.first, genesis.last) == (0, 1, 1)
    assert genesis.chain == chain_hash(b"", genesis.blob)
    files = files or Files()
    flag = path / "formatting"
    if (path / "identity").exists() or _holds_data(path):
        raise VolumeError(f"{path}: there is a volume already; it is never formatted again")
    path.mkdir(parents=True, exist_ok=True)
    os.close(place_file(files, flag, b"unfinished: may be formatted anew\n"))
    for name in ("journal", "checkpoint"):
        (path / name).mkdir(exist_ok=True)
    journal = Journal(files, path / "journal", layout.segment_bytes, Reserve(files, path, 0))
    journal.begin()
    journal.add_record(genesis)
    journal.sync()
    mark = Mark(journal.durable, 0, 1, files.boot())
    journal.close()
    MarkFile.create(files, path / "mark", mark)
    os.close(place_file(files, path / "identity", _sealed(identity)))
    files.remove(flag)
    files.sync_folder(path)
    files.sync_folder(path.parent)


def lock_volume(path: Path, expected: Identity, files: Files) -> int:
    """Lock the volume and see that it is the expected one; return what holds the lock.

    Raises:
        Missing: there is no volume.
        Locked: another process has it; try again later.
        WrongRing: it is someone else's.
        Damaged: its identity is unreadable or gone.
    """
    seal = path / "identity"
    if not seal.exists():
        if _holds_data(path):
            raise Damaged(seal, "the file is gone, but other files of a volume are there")
        raise Missing(f"{path}: there is no volume here; a ring's first start formats it")
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _compare(path, _unsealed(seal, files.read(seal)), expected)
    except BlockingIOError:
        os.close(lock)
        raise Locked(f"{path}: another process runs this peer; stop it, or wait") from None
    except BaseException:
        os.close(lock)
        raise
    return lock


def _holds_data(path: Path) -> bool:
    """Tell whether more lies there than an interrupted format leaves."""
    found = [*path.glob("journal/*"), *path.glob("checkpoint/*"), *path.glob("mark")]
    return bool(found) and not (path / "formatting").exists()


def _compare(path: Path, found: Identity, expected: Identity) -> None:
    if found != expected:
        raise WrongRing(
            f"{path}: this volume is of {found}, not of {expected}. Start the peer that it"
            " belongs to, or give this one a folder of its own."
        )


def _sealed(identity: Identity) -> bytes:
    text = msgspec.json.encode(identity)
    return text + b"\n%08x\n" % zlib.crc32(text)


def _unsealed(path: Path, content: bytes) -> Identity:
    text, _, seal = content.partition(b"\n")
    if seal != b"%08x\n" % zlib.crc32(text):
        raise Damaged(path, "the identity of the volume is unreadable")
    return msgspec.json.decode(text, type=Identity)
