"""Where a recovered ring's history begins: the state that `bazaar recover` found (R14).

The archive keeps that state, since peers drop theirs at their next checkpoint. What the former
rings left is set aside, whole, and audited there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bazaar_peer.command.history import read_history
from bazaar_peer.command.ring_folder import NoProofError, RingFolder, read_ring
from bazaar_peer.core.messages import Stored, Submission, decode_record
from bazaar_peer.runtime.checkpoint_file import SUFFIX, read_checkpoint
from bazaar_peer.runtime.ends import Place
from bazaar_peer.runtime.files import Files, VolumeError


@dataclass(frozen=True)
class Origin:
    """The end of what a former ring had, and the parts of the state there."""

    place: Place
    parts: list[bytes]
    former: RingFolder | None
    """The former ring as it was set aside, if it is still there."""
    told: str


def read_origin(folder: RingFolder) -> Origin | None:
    """Read where a ring's history begins; None: with its first entry.

    Raises:
        NoProofError: it begins with a recovered state, and that is gone or damaged.
    """
    if not folder.made.former:
        return None
    paths = sorted((folder.path / "archive").glob(f"*{SUFFIX}"))
    try:
        saved, parts = read_checkpoint(Files(), paths[-1])
    except (IndexError, VolumeError) as wrong:
        raise NoProofError(
            f"the state that ring {folder.made.ring} was recovered with is not in "
            f"{folder.path / 'archive'}, or damaged: its history cannot be audited ({wrong})"
        ) from wrong
    aside = _set_aside(folder)
    before = f"in {aside.path}" if aside else "in set-aside no more"
    told = (
        f"recovered from ring {folder.made.former[-1]} at index {saved.place.last}: the history up "
        f"to there is {before}"
    )
    return Origin(saved.place, parts, aside, told)


def _set_aside(folder: RingFolder) -> RingFolder | None:
    """Return the former ring's folder; those of older ones lie beside it."""
    name = folder.made.former[-1]
    for path in (folder.set_aside(name), folder.path.with_name(name)):
        if (found := read_ring(path)) is not None:
            return found
    return None


def keys_before(origin: Origin) -> Iterator[tuple[str, str]]:
    """Yield (client, key) of all that former rings had in what was recovered, oldest rings last."""
    at: Origin | None = origin
    while at is not None and at.former is not None:
        for stored in _journal(at.former, at.place):
            for entry in decode_record(stored.blob).entries:
                if isinstance(entry, Submission) and entry.key:
                    yield entry.client, entry.key
        at = read_origin(at.former)


def _journal(folder: RingFolder, end: Place) -> list[Stored]:
    """Return the journal that reaches that place, of whichever volume has it."""
    for peer in folder.ordinals():
        if folder.volume(peer).exists():
            history = read_history(peer, folder.volume(peer), folder.newest_archive(peer))
            found = history.records.get(end.last)
            if found is not None and found.chain == end.chain:
                return [record for last, record in history.records.items() if last <= end.last]
    return []
