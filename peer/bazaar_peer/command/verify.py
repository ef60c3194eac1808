"""`bazaar verify`: the safety rules, proved on what a ring left on its disks.

All peers' journals, archives included, are laid over each other (S3), every entry that some record
names as committed must be in all that reach so far (S4), and the one history is executed again
from its first entry: nothing twice (S6), goods and money conserved (S7), causes first in every
batch (S8), and every checkpoint equal to the replay at its index, byte for byte (S10).
"""

from __future__ import annotations

from pathlib import Path

from bazaar_peer.command.acknowledged import check_acknowledged, read_list
from bazaar_peer.command.audit import Report
from bazaar_peer.command.history import History, read_former, read_history
from bazaar_peer.command.origin import Origin, keys_before, read_origin
from bazaar_peer.command.replay import Replay
from bazaar_peer.command.ring_folder import RingError, open_ring
from bazaar_peer.core.journal import chain_hash
from bazaar_peer.core.messages import Stored

Keys = list[tuple[str, str]]


def verify(path: Path, acknowledged: Path | None = None) -> Report:
    """Audit a ring's folder.

    Raises:
        RingError: there is no ring there, or the list cannot be read.
    """
    folder = open_ring(path)
    if folder is None:
        raise RingError(f"{path} has no ring.json: it is no ring's folder")
    keys = read_list(acknowledged) if acknowledged else None
    report = Report()
    histories: list[History] = []
    for peer in folder.ordinals():
        if (folder.volume(peer) / "identity").exists():
            archive = folder.newest_archive(peer)
            histories.append(read_history(peer, folder.volume(peer), archive))
        else:
            report.counted.append(f"peer {peer}: no volume")
    audit(histories, read_former(folder), read_origin(folder), keys, report)
    return report


def audit(
    histories: list[History],
    former: list[History],
    origin: Origin | None,
    keys: Keys | None,
    report: Report,
) -> None:
    """Hold what was read against every rule; `keys`: what was acknowledged, if there is a list."""
    for history in histories:
        _count(history, report)
    line = _one_line(histories, former, origin, report)
    replay = Replay(report)
    if origin is not None:
        report.counted.append(origin.told)
        replay.begin(origin)
    replay.run(line, histories)
    if keys is not None:
        if origin is not None and origin.former is None:
            report.counted.append("keys that only the former ring's journals have count as missing")
        check_acknowledged(keys, replay, set(keys_before(origin)) if origin else set(), report)
    replay.count(report)


def _count(history: History, report: Report) -> None:
    for sentence in history.wrong:
        report.violation(sentence)
    epoch, last = history.last
    report.counted.append(
        f"peer {history.peer}: {len(history.ends)} batches up to index {last} of epoch {epoch}, "
        f"{len(history.dropped)} dropped, {len(history.checkpoints)} checkpoints"
    )


def _one_line(
    histories: list[History], former: list[History], origin: Origin | None, report: Report
) -> list[Stored]:
    """Lay all journals over each other and return the history that is committed.

    The best journal's end is where the history ends: what it holds is committed or will be.
    """
    found: dict[tuple[int, int], tuple[Stored, int]] = {}
    for history in [*histories, *former]:
        for stored in [*history.records.values(), *history.dropped]:
            other = found.setdefault((stored.epoch, stored.last), (stored, history.peer))
            if other[0].chain != stored.chain:
                report.violation(
                    f"peers {other[1]} and {history.peer} differ at index {stored.last} of epoch "
                    f"{stored.epoch} or before it (S3)"
                )
    best = max(histories, key=lambda history: history.last, default=None)
    if best is None or not best.ends:
        report.violation("no peer has a journal")
        return []
    return _trace(best.records[best.ends[-1]], found, origin, report)


def _trace(
    end: Stored,
    found: dict[tuple[int, int], tuple[Stored, int]],
    origin: Origin | None,
    report: Report,
) -> list[Stored]:
    """Follow the history back from its end, by the hash chain where epochs meet."""
    begins = origin.place.last + 1 if origin else 1
    by_last: dict[int, list[Stored]] = {}
    for stored, _ in found.values():
        by_last.setdefault(stored.last, []).append(stored)
    line = [end]
    while line[-1].first > begins:
        at = line[-1]
        before = [s for s in by_last.get(at.first - 1, []) if _chained(s.chain, at)]
        if not before:
            report.violation(
                f"history is missing: no volume or archive has the batch that ends at index "
                f"{at.first - 1}, before that of epoch {at.epoch}"
            )
            break
        line.append(before[0])
    if origin and line[-1].first == begins and not _chained(origin.place.chain, line[-1]):
        report.violation(f"the batch at index {begins} does not follow the recovered state (S3)")
    return line[::-1]


def _chained(before: bytes, after: Stored) -> bool:
    return chain_hash(before, after.blob) == after.chain
