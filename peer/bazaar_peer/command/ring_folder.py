"""The folder of a ring on this machine, and its first start (R14).

DIR/ring.json        written last: with it there, a missing peer's folder is a *lost* volume
DIR/size             the newest size that `bazaar up` has seen; the ring itself decides it
DIR/running.json     where the `bazaar up` that runs now can be reached
DIR/peer-<i>/        the volume of peer i
DIR/archive/peer-<i> journal segments that checkpoints replaced, for `bazaar verify`
DIR/logs/peer-<i>.log
DIR/stats/peer-<i>   counters of the peer's agents
DIR/set-aside/<ring> volumes and archive of a former ring, from before `bazaar recover`
DIR/recovering/      the next ring, while `bazaar recover` makes it
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

import msgspec

from bazaar_peer.core.admission import PEERS_MAX
from bazaar_peer.core.messages import Stored
from bazaar_peer.core.types import Limits
from bazaar_peer.runtime.genesis import genesis
from bazaar_peer.runtime.volume import Identity, format_volume

FILE = "ring.json"


class RingError(Exception):
    """A folder that cannot be used as asked; the text says what is wrong and how to mend it."""


class NoProofError(RingError):
    """Nobody misused anything, and yet the audit cannot be made; the text says what is missing."""


class RingFile(msgspec.Struct, frozen=True, kw_only=True):
    """DIR/ring.json: what a ring was made with."""

    ring: str
    peers: int
    roles: str = "both"
    seed: int = 0
    commission_bp: int = 0
    limits: Limits = Limits()
    former: list[str] = []
    """Ring ids from before each `bazaar recover`, oldest first."""


class Running(msgspec.Struct, frozen=True):
    """A `bazaar up` that runs: its process, and the client port of peer 0."""

    pid: int
    port: int

    def urls(self, count: int) -> list[str]:
        return [f"http://127.0.0.1:{self.port + peer}" for peer in range(count)]


class RingFolder:
    """A ring's folder, made or opened."""

    def __init__(self, path: Path, made: RingFile) -> None:
        self.path = path
        self.made = made

    def volume(self, peer: int) -> Path:
        return self.path / f"peer-{peer}"

    def ordinals(self) -> list[int]:
        """Return every peer that is or was in the ring here."""
        names = [path.name.removeprefix("peer-") for path in self.path.glob("peer-*")]
        return sorted({*range(self.made.peers), *(int(n) for n in names if n.isdecimal())})

    def size(self) -> int:
        """Return the newest size that was seen; peers that are too many find out for themselves."""
        try:
            return int((self.path / "size").read_text())
        except (OSError, ValueError):
            return self.made.peers

    def note_size(self, size: int) -> None:
        replace_file(self.path / "size", f"{size}\n")

    def note_running(self, running: Running | None) -> None:
        """Tell where this ring runs, or that it does not any more."""
        file = self.path / "running.json"
        if running is None:
            file.unlink(missing_ok=True)
        else:
            replace_file(file, msgspec.json.encode(running).decode() + "\n")

    def running(self) -> Running | None:
        """Return where this ring runs, if it does."""
        try:
            found = msgspec.json.decode((self.path / "running.json").read_bytes(), type=Running)
            os.kill(found.pid, 0)
        except (OSError, msgspec.MsgspecError):
            return None
        return found

    def log(self, peer: int) -> Path:
        return self.path / "logs" / f"peer-{peer}.log"

    def stats(self, peer: int) -> Path:
        return self.path / "stats" / f"peer-{peer}"

    def archive(self, peer: int) -> Path:
        return self.path / "archive" / f"peer-{peer}"

    def archives(self, peer: int) -> dict[int, Path]:
        """Return where each life of a peer archives: `peer-<i>`, then `peer-<i>.<incarnation>`."""
        first = self.archive(peer)
        later = [p for p in first.parent.glob(f"{first.name}.*") if p.suffix[1:].isdecimal()]
        return {0: first} | {int(path.suffix[1:]): path for path in later}

    def newest_archive(self, peer: int) -> Path:
        """Return where the newest life of a peer that was here archives."""
        archives = self.archives(peer)
        return archives[max(archives)]

    def former_lives(self, peer: int) -> list[tuple[Path, Path]]:
        """Return (volume, archive) of each life before the newest; a lost volume is not there.

        What they hold may be all that is left of the ring's first entries.
        """
        newest = self.newest_archive(peer) if (self.volume(peer) / "identity").exists() else None
        lives: list[tuple[Path, Path]] = []
        for life, archive in sorted(self.archives(peer).items()):
            if archive != newest and archive.exists():
                places = sorted((self.volume(peer) / "set-aside").glob(f"{life}-*"))
                lives.append((places[-1] if places else archive / "lost", archive))
        return lives

    @property
    def recovering(self) -> Path:
        return self.path / "recovering"

    def set_aside(self, ring: str) -> Path:
        return self.path / "set-aside" / ring

    def genesis(self) -> Stored:
        """Return the first record, the same on every volume."""
        return genesis(self.made.ring, self.made.peers, self.made.commission_bp, self.made.limits)


def open_ring(path: Path) -> RingFolder | None:
    """Open a ring's folder; None if no ring was made there yet.

    Raises:
        RingError: ring.json cannot be read, or the ring is being recovered.
    """
    folder = read_ring(path)
    if folder is not None and half_recovered(folder) is not None:
        raise RingError(
            f"the recovery of {path} was interrupted, and its volumes are of two rings. Run "
            f"`bazaar recover {path}` again: it goes on where it stopped."
        )
    return folder


def half_recovered(folder: RingFolder) -> RingFolder | None:
    """Return the ring that was about to take this one's place, if volumes may have moved already.

    A recovery moves nothing before the next ring is whole, and its own ring.json says so; and the
    first that it makes then is the place for the old volumes.
    """
    nxt = read_ring(folder.recovering)
    if nxt is None or nxt.made.ring == folder.made.ring:
        return None
    return nxt if folder.set_aside(folder.made.ring).exists() else None


def read_ring(path: Path) -> RingFolder | None:
    """Read ring.json alone; None if there is none."""
    file = path / FILE
    if not file.exists():
        return None
    try:
        return RingFolder(path, msgspec.json.decode(file.read_bytes(), type=RingFile))
    except msgspec.MsgspecError as wrong:
        raise RingError(
            f"{file} is damaged ({wrong}). Restore it from a copy, or move the folder away to "
            "start a new ring."
        ) from wrong


def make_ring(path: Path, made: RingFile) -> RingFolder:
    """Describe a ring in its folder; `finish` makes it exist once its volumes are formatted."""
    if not 1 <= made.peers <= PEERS_MAX:
        raise RingError(f"--peers must be 1 to {PEERS_MAX}, not {made.peers}")
    path.mkdir(parents=True, exist_ok=True)
    for name in ("logs", "stats", "archive"):
        (path / name).mkdir(exist_ok=True)
    return RingFolder(path, made)


def create(path: Path, made: RingFile) -> RingFolder:
    """Make a whole ring: its folder, a formatted volume for each peer, and ring.json last (R14)."""
    folder = make_ring(path, made)
    genesis = folder.genesis()
    for peer in range(made.peers):
        format_volume(folder.volume(peer), Identity(made.ring, peer, 0), genesis)
    finish(folder)
    return folder


def finish(folder: RingFolder) -> None:
    """Write ring.json, durably and last: from now on the ring exists."""
    text = json.dumps(msgspec.to_builtins(folder.made), indent=2) + "\n"
    replace_file(folder.path / FILE, text)


def replace_file(path: Path, text: str) -> None:
    """Put a whole file in its place, durably."""
    temporary = path.with_suffix(".new")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def token_in(path: Path | None) -> str:
    """Return the token that a file holds; nothing if there is no file.

    Raises:
        RingError: it cannot be read.
    """
    try:
        return path.read_text(encoding="ascii").strip() if path is not None else ""
    except (OSError, UnicodeDecodeError) as wrong:
        raise RingError(f"{path} cannot be read: {wrong}") from wrong


def new_ring_id() -> str:
    return f"ring-{secrets.token_hex(8)}"
