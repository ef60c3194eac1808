"""Making and opening a peer's folder: identity, lock, genesis (R14)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from bazaar_peer.core.journal import chain_hash
from bazaar_peer.core.messages import MembersChanged, Stored
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
    volume: str = ""
    """The volume's own name, by which it asked to join; a ring's first volumes have none."""
    made: str = ""
    """A random name of this formatting: what was formatted twice is not the same life (R14)."""


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
    begin: Stored | MembersChanged,
    layout: Layout = DEFAULT,
    files: Files | None = None,
) -> None:
    """Make a volume; an interrupted attempt may be repeated.

    `begin`: the genesis record, which becomes its journal; or, for a volume that joins, the members
    that it was told, until its own journal says who they are.

    Raises:
        VolumeError: something is there already.
    """
    files = files or Files()
    flag = path / "formatting"
    if holds_data(path):
        raise VolumeError(f"{path}: there is a volume already; it is never formatted again")
    files.make_folder(path)
    os.close(place_file(files, flag, b"unfinished: may be formatted anew\n"))
    for name in ("journal", "checkpoint"):
        files.make_folder(path / name)
    journal = Journal(files, path / "journal", layout.segment_bytes, Reserve(files, path, 0))
    journal.begin()
    if isinstance(begin, Stored):
        assert (begin.epoch, begin.first, begin.last) == (0, 1, 1)
        assert begin.chain == chain_hash(b"", begin.blob)
        journal.add_record(begin)
    else:
        os.close(place_file(files, path / "told", msgspec.msgpack.encode(begin)))
    journal.sync()
    mark = Mark(journal.durable, 0, journal.ends.last.last, files.boot())
    journal.close()
    MarkFile.create(files, path / "mark", mark)
    identity = msgspec.structs.replace(identity, made=secrets.token_hex(8))
    os.close(place_file(files, path / "identity", _sealed(identity)))
    files.remove(flag)
    files.sync_folder(path)
    files.sync_folder(path.parent)


def lock_volume(path: Path, expected: Identity, files: Files) -> tuple[int, Identity]:
    """Lock the volume and see that it is the expected ring's and ordinal's; return lock, identity.

    Raises:
        Missing: there is no volume.
        Locked: another process has it; try again later.
        WrongRing: it is someone else's.
        Damaged: its identity is unreadable or gone.
    """
    seal = path / "identity"
    if not seal.exists():
        if holds_data(path):
            raise Damaged(seal, "the file is gone, but other files of a volume are there")
        raise Missing(f"{path}: there is no volume here; a ring's first start formats it")
    lock = lock_folder(path)
    try:
        identity = _unsealed(seal, files.read(seal))
        _compare(path, identity, expected)
    except BaseException:
        os.close(lock)
        raise
    return lock, identity


def lock_folder(path: Path) -> int:
    """Keep other processes from the folder of a volume, whether there is one in it yet or not.

    Raises:
        Locked: another process has it; try again later.
    """
    path.mkdir(parents=True, exist_ok=True)
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Locked(f"{path}: another process runs this peer; stop it, or wait") from None
    return lock


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Have the folder of a volume for a while; raises as `lock_folder` does."""
    lock = lock_folder(path)
    try:
        yield
    finally:
        os.close(lock)


def holds_data(path: Path) -> bool:
    """Tell whether more lies there than an interrupted format leaves."""
    if (path / "identity").exists():
        return True
    found = [*path.glob("journal/*"), *path.glob("checkpoint/*"), *path.glob("mark")]
    return bool(found) and not (path / "formatting").exists()


def told_members(path: Path, files: Files) -> MembersChanged | None:
    """Return the members that a joining volume was told; None on a ring's first volumes.

    Raises:
        Damaged: they cannot be read.
    """
    told = path / "told"
    if not told.exists():
        return None
    try:
        return msgspec.msgpack.decode(files.read(told), type=MembersChanged)
    except msgspec.MsgspecError as wrong:
        raise Damaged(told, f"the members that it was told are unreadable ({wrong})") from wrong


def _compare(path: Path, found: Identity, expected: Identity) -> None:
    if (found.ring, found.ordinal) != (expected.ring, expected.ordinal):
        raise WrongRing(
            f"{path}: this volume is peer {found.ordinal}'s of ring {found.ring!r}, not peer"
            f" {expected.ordinal}'s of {expected.ring!r}. Start the peer that it belongs to, or"
            " give this one a folder of its own.",
            (found.ring, found.ordinal),
        )


def _sealed(identity: Identity) -> bytes:
    text = msgspec.json.encode(identity)
    return text + b"\n%08x\n" % zlib.crc32(text)


def _unsealed(path: Path, content: bytes) -> Identity:
    text, _, seal = content.partition(b"\n")
    if seal != b"%08x\n" % zlib.crc32(text):
        raise Damaged(path, "the identity of the volume is unreadable")
    return msgspec.json.decode(text, type=Identity)
