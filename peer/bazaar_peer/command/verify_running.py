"""`bazaar verify --url`: the same audit, of a ring that runs.

The logs of all members are copied over HTTP, archives included, and read as those of a folder are;
if several URLs are given, of those peers alone. Who votes is asked of them either way: what was
acknowledged is known to be with a majority of the voters, and less of them proves nothing.
They are copied one after the other while the ring goes on: each is as old as its copy, and holds
whatever was acknowledged before the copying began, if its peer has it. Checkpoints stay where they
are, so S10 is not looked at. A recovered ring (R14) is audited from the state that it began with,
which the peer that made it keeps; the former ring's journals are not there.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import urlsplit

from bazaar_peer.command.acknowledged import read_list
from bazaar_peer.command.audit import Report
from bazaar_peer.command.copied_logs import Copied, Copies, Row
from bazaar_peer.command.history import History, read_history
from bazaar_peer.command.origin import Origin
from bazaar_peer.command.ring_folder import NoProofError, RingError, token_in
from bazaar_peer.command.verify import audit
from bazaar_peer.core.quorum import majority
from bazaar_peer.runtime.checkpoint_file import read_checkpoint
from bazaar_peer.runtime.files import Files, VolumeError

URLS_MAX = 64
FOUND_S, AGAIN_S = 45.0, 2.0
"""Names lead to the old pod for half a minute, and to the new one once it is ready."""


def verify(
    urls: list[str],
    token_file: Path | None,
    acknowledged: Path | None,
    say: Callable[[str], object] = lambda _: None,
) -> Report:
    """Audit a running ring; `say` is told what takes long.

    Raises:
        RingError: it cannot be audited as was asked; the text says why.
        NoProofError: the ring does not show enough of itself.
    """
    if len(urls) > URLS_MAX:
        raise RingError(f"--url was given {len(urls)} times: {URLS_MAX} is the most")
    for url in urls:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise RingError(f"--url is http://HOST:PORT, not {url!r}")
    keys = read_list(acknowledged) if acknowledged else None
    token = token_in(token_file)
    report = Report()
    with tempfile.TemporaryDirectory(prefix="bazaar-verify-") as folder:
        copies = Copies(urls, token, Path(folder))
        histories, origin = _shown(copies, say)
    report.counted.extend(copies.told())
    audit(histories, [], origin, keys, report)
    return report


def _shown(copies: Copies, say: Callable[[str], object]) -> tuple[list[History], Origin | None]:
    """Read enough for a proof; who is not found where DNS leads to is looked for a while."""
    until, said = monotonic() + FOUND_S, False
    while True:
        try:
            asyncio.run(copies.take())
            return _read(copies)
        except NoProofError:
            if not copies.may_be_found or monotonic() > until:
                raise
        if not said:
            whom = ", ".join(copies.silent)
            say(f"not readable yet: {whom}; asked again for {FOUND_S:.0f} s at most …")
            said = True
        sleep(AGAIN_S)


def _read(copies: Copies) -> tuple[list[History], Origin | None]:
    copied = list(copies.copied.values())
    if len({one.ring for one in copied}) > 1:
        rings = sorted({one.ring for one in copied})
        raise RingError(f"these peers are of several rings, {', '.join(rings)}: name one ring's")
    if len({one.peer for one in copied}) < len(copied):
        raise RingError("one peer was named twice: name each once, or one that names the others")
    _see_majority(copies.rows, {one.peer for one in copied}, copies.told())
    histories = [read_history(one.peer, one.folder, one.folder / "none") for one in copied]
    origin = _origin(copied)
    _reach_back(histories, origin)
    return histories, origin


def _origin(copied: Sequence[Copied]) -> Origin | None:
    """Read the state that the ring was recovered with, of whichever peer has it.

    Raises:
        NoProofError: it is damaged.
    """
    path = next((one.origin for one in copied if one.origin is not None), None)
    if path is None:
        return None
    try:
        saved, parts = read_checkpoint(Files(), path)
    except VolumeError as wrong:
        raise NoProofError(
            f"the state that the ring was recovered with is damaged: {wrong}"
        ) from wrong
    told = (
        f"recovered at index {saved.place.last}: the history up to there is on the volumes that"
        " were set aside"
    )
    return Origin(saved.place, parts, None, told)


def _reach_back(histories: list[History], origin: Origin | None) -> None:
    """See that the first entry is there: nothing can be executed again without what was before."""
    firsts = [one.records[min(one.ends)].first for one in histories if one.ends]
    first = min(firsts, default=1)
    if first > 1 + (origin.place.last if origin else 0):
        raise NoProofError(
            f"no peer keeps what lies before index {first}, so the history cannot be executed"
            " again: a ring that is to be audited keeps its journal (checkpoint.keepJournal); one"
            " that was recovered on one machine is audited in its folder"
        )


def _see_majority(rows: list[Row], read: set[int], silent: list[str]) -> None:
    """See that the peers that were read are a majority of those who vote; learners do not count.

    Raises:
        RingError: too few were named; NoProofError: too few answered.
    """
    voters = {row.id: row.url for row in rows if row.voter}
    needed, have = majority(voters), len(voters.keys() & read)
    if have >= needed:
        return
    missing = [f"peer {peer} ({voters[peer]})" for peer in sorted(voters.keys() - read)]
    told = (
        f"{have} of {len(voters)} voters could be read, and what was acknowledged is known to be "
        f"with a majority of them only, {needed}. Missing: {', '.join(missing)}"
    )
    if silent:
        raise NoProofError(f"{told}. {'; '.join(silent)}")
    raise RingError(f"{told}: name these, too, or one peer alone, which names all others")
