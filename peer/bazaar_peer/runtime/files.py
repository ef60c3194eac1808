"""The few system calls of the store, in one place that tests replace, and the store's errors.

DiskError
├── VolumeError      the peer does not start; the text says which file, what, and how to mend it
│   ├── Missing      there is no volume
│   ├── Locked       another process has it open
│   ├── WrongRing    it belongs to another ring, ordinal or incarnation
│   └── Damaged      what was acknowledged is not all there (D2): no vote
├── StoreFailed      a write or a sync failed, its outcome is unknown: exit at once (R7, D3)
└── DiskFull         space was refused before anything was written (D4): nothing happened
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar


class DiskError(Exception):
    """Root of what the store raises."""


class VolumeError(DiskError):
    """A volume that a peer cannot start from."""


class Missing(VolumeError):  # noqa: N818 - states of a volume, named as the operator reads them
    pass


class Locked(VolumeError):  # noqa: N818
    pass


class WrongRing(VolumeError):  # noqa: N818
    """`found` is the ring and the ordinal that the volume is of."""

    def __init__(self, sentence: str, found: tuple[str, int]) -> None:
        super().__init__(sentence)
        self.found = found


class Damaged(VolumeError):  # noqa: N818
    def __init__(self, path: Path, what: str) -> None:
        self.what = what
        super().__init__(
            f"{path}: {what}. This peer may have forgotten what it acknowledged, so it must not"
            " vote. Set the whole volume aside and let the ring admit this peer again with an empty"
            " one; never delete or edit single files."
        )


class StoreFailed(DiskError):  # noqa: N818
    pass


class DiskFull(DiskError):  # noqa: N818
    pass


TAKES_SPACE = {
    "create": "create a file",
    "reserve": "reserve a file",
    "make_folder": "make a folder",
}
"""Calls that are refused before anything has happened."""
P = ParamSpec("P")
T = TypeVar("T")


def _call(method: Callable[Concatenate[Files, P], T]) -> Callable[Concatenate[Files, P], T]:
    """Any error is `StoreFailed`, except one that says there is no space for something new."""

    @wraps(method)
    def call(self: Files, /, *args: P.args, **kwargs: P.kwargs) -> T:
        assert not self.failed, "a failed store is not used again (R7)"
        name = method.__name__
        try:
            self.before(name)
            return method(self, *args, **kwargs)
        except OSError as error:
            if name in TAKES_SPACE and error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise DiskFull(f"no space to {TAKES_SPACE[name]}: {error}") from error
            raise self._end(name, error) from error

    return call


class Files:
    """System calls by name; tests override `before`, or one of them."""

    def __init__(self) -> None:
        self.failed = False

    def before(self, name: str) -> None:
        """Stand where a test fails, counts or stalls a call."""

    def _end(self, name: str, error: OSError) -> StoreFailed:
        self.failed = True
        return StoreFailed(f"the disk failed to {name}: {error}; exit at once")

    def read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise Damaged(path, f"the file cannot be read ({error.strerror})") from error

    @_call
    def make_folder(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    @_call
    def create(self, path: Path) -> int:
        """Open an empty file, in place of any leftover under that (temporary) name."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)

    @_call
    def reserve(self, fd: int, offset: int, length: int) -> None:
        """Have the file system set space aside (D4)."""
        os.posix_fallocate(fd, offset, length)

    def write(self, fd: int, content: bytes | bytearray, offset: int) -> None:
        # Without `_call`, like `sync`: every group of writes comes through here.
        assert not self.failed, "a failed store is not used again (R7)"
        try:
            self.before("write")
            done = os.pwrite(fd, content, offset)
            while done < len(content):
                done += os.pwrite(fd, memoryview(content)[done:], offset + done)
        except OSError as error:
            raise self._end("write", error) from error

    @_call
    def cut(self, fd: int, length: int) -> None:
        os.ftruncate(fd, length)

    def sync(self, fd: int) -> None:
        assert not self.failed, "a failed store is not used again (R7)"
        try:
            self.before("sync")
            os.fdatasync(fd)
        except OSError as error:
            raise self._end("sync", error) from error

    @_call
    def sync_folder(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    @_call
    def rename(self, old: Path, new: Path) -> None:
        old.rename(new)

    @_call
    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def boot(self) -> bytes:
        """Name this start of the machine; 16 zeros where it has no name, so never "rebooted"."""
        try:
            text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        except OSError:
            return bytes(16)
        return bytes.fromhex(text.strip().replace("-", ""))


class Untouched(Files):
    """Reads what is there and changes nothing, while whoever uses it believes that it writes.

    So a volume is audited as a peer's start would, and stays as it was found. What goes through a
    file that was opened here must not be read back.
    """

    def make_folder(self, path: Path) -> None:
        """Make nothing."""

    def create(self, path: Path) -> int:
        return os.open(os.devnull, os.O_RDWR)

    def reserve(self, fd: int, offset: int, length: int) -> None:
        """Set nothing aside."""

    def write(self, fd: int, content: bytes | bytearray, offset: int) -> None:
        """Write nothing."""

    def cut(self, fd: int, length: int) -> None:
        """Cut nothing."""

    def sync(self, fd: int) -> None:
        """Sync nothing."""

    def sync_folder(self, path: Path) -> None:
        """Sync nothing."""

    def rename(self, old: Path, new: Path) -> None:
        """Rename nothing."""

    def remove(self, path: Path) -> None:
        """Remove nothing."""


def place_file(files: Files, path: Path, content: bytes, size: int = 0) -> int:
    """Put a whole file under its name, atomically and durably; return it open for writing.

    A refusal of space leaves nothing behind but a temporary file of no length.
    """
    temporary = path.with_suffix(".new")
    fd = files.create(temporary)
    try:
        files.reserve(fd, 0, max(size, len(content)))
    except DiskFull:
        os.close(fd)
        files.remove(temporary)
        raise
    files.write(fd, content, 0)
    files.sync(fd)
    files.rename(temporary, path)
    files.sync_folder(path.parent)
    return fd


def unused(path: Path) -> Path:
    """Return this path, or the first of `path-2`, `path-3`, … that is not taken."""
    place, number = path, 1
    while place.exists():
        number += 1
        place = path.with_name(f"{path.name}-{number}")
    return place


class Reserve:
    """Space kept so that a full disk can still take a checkpoint and prune its journal (D4).

    The journal may take new space only while the reserve stands; whatever frees space in the end
    (a checkpoint, the rewritten tail at a start) may spend it.
    """

    def __init__(self, files: Files, path: Path, size: int) -> None:
        self._files = files
        self._path = path
        self._size = size
        self._lock = threading.Lock()
        self.stands = False

    def restore(self) -> None:
        """Set the space aside.

        Raises:
            DiskFull: there is not so much.
        """
        with self._lock:
            if self._size and not self.stands:
                fd = self._files.create(self._path)
                try:
                    self._files.reserve(fd, 0, self._size)
                except DiskFull:
                    self._files.cut(fd, 0)
                    raise
                finally:
                    os.close(fd)
            self.stands = True

    def spend(self) -> None:
        with self._lock:
            self.stands = False
            self._files.remove(self._path)
