"""What a volume and its archive hold, read for an audit: nothing is written, nothing repaired."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bazaar_peer.command.ring_folder import RingFolder
from bazaar_peer.core.journal import chain_hash
from bazaar_peer.core.messages import Stored
from bazaar_peer.runtime import frames
from bazaar_peer.runtime.checkpoint_file import SUFFIX as CHECKPOINT
from bazaar_peer.runtime.checkpoint_file import read_checkpoint
from bazaar_peer.runtime.files import Files, VolumeError
from bazaar_peer.runtime.journal_file import SUFFIX as SEGMENT


@dataclass
class History:
    """One peer's journal as its log tells it, truncations and installs followed."""

    peer: int
    records: dict[int, Stored] = field(default_factory=dict)
    """By last index: what the journal holds now, archived segments included."""
    dropped: list[Stored] = field(default_factory=list)
    """What truncations took away."""
    ends: list[int] = field(default_factory=list)
    checkpoints: list[tuple[int, int, list[bytes]]] = field(default_factory=list)
    """(epoch, index, parts) of each checkpoint."""
    wrong: list[str] = field(default_factory=list)

    @property
    def last(self) -> tuple[int, int]:
        if not self.ends:
            return (0, 0)
        end = self.records[self.ends[-1]]
        return (end.epoch, end.last)


def read_history(peer: int, volume: Path, archive: Path) -> History:
    """Read a peer's archived and live segments in order, and its checkpoints."""
    history = History(peer)
    paths = {
        path.name: path
        for folder in (archive, volume / "journal")
        if folder.exists()
        for path in folder.glob(f"*{SEGMENT}")
    }
    chain = b""
    for frame in _frames([paths[name] for name in sorted(paths)], history):
        chain = _follow(frame, history, chain)
    for path in sorted((volume / "checkpoint").glob(f"*{CHECKPOINT}")):
        try:
            saved, parts = read_checkpoint(Files(), path)
        except VolumeError as wrong:
            history.wrong.append(f"peer {peer}: {wrong}")
        else:
            history.checkpoints.append((saved.place.epoch, saved.place.last, parts))
    return history


def read_former(folder: RingFolder) -> list[History]:
    """Read what lives that are over have left: they judge nothing, but may fill gaps."""
    return [
        read_history(peer, volume, archive)
        for peer in folder.ordinals()
        for volume, archive in folder.former_lives(peer)
    ]


def _frames(paths: list[Path], history: History) -> Iterator[frames.Frame]:
    """Yield the whole frames of segments in order; say where a middle one is cut."""
    for path in paths:
        log = path.read_bytes()
        if len(log) < frames.HEAD.size + frames.START_HEAD.size:
            history.wrong.append(
                f"peer {history.peer}: {path.name} is shorter than its first frame"
            )
            continue
        _, start = frames.START_HEAD.unpack_from(log, frames.HEAD.size)
        at = 0
        while (frame := frames.parse(log, at, start + at)) is not None:
            yield frame
            at += frame.size
        if log[at:].rstrip(b"\0") and path is not paths[-1]:
            history.wrong.append(
                f"peer {history.peer}: {path.name} has bad bytes at offset {at}, "
                "with more journal behind them"
            )


def _follow(frame: frames.Frame, history: History, chain: bytes) -> bytes:
    """Do what a frame says to the history; return the chain at its end."""
    match frame.kind:
        case frames.RECORD:
            epoch, first, last, stored_chain = frames.RECORD_HEAD.unpack_from(frame.payload)
            blob = frame.payload[frames.RECORD_HEAD.size :]
            if stored_chain != chain_hash(chain, blob):
                history.wrong.append(
                    f"peer {history.peer}: entries {first} to {last} are not chained to those "
                    "before them (S3)"
                )
            history.records[last] = Stored(epoch, first, last, stored_chain, blob)
            history.ends.append(last)
            return bytes(stored_chain)
        case frames.TRUNCATE:
            _, after, chain = frames.PLACE.unpack(frame.payload)
            while history.ends and history.ends[-1] > after:
                history.dropped.append(history.records.pop(history.ends.pop()))
            return bytes(chain)
        case frames.RESET:
            epoch, last, chain = frames.PLACE.unpack(frame.payload)
            kept = [end for end in history.ends if end <= last]
            for end in history.ends[len(kept) :]:
                history.dropped.append(history.records.pop(end))
            history.ends = kept
            return bytes(chain)
        case frames.START:
            _, last, chain = frames.PLACE.unpack_from(frame.payload, frames.START_HEAD.size)
            return bytes(chain) if last else b""
        case _:
            return chain
