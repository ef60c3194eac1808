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
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from bazaar_peer.command.acknowledged import read_list
from bazaar_peer.command.audit import Report
from bazaar_peer.command.client import no_answer, why_refused
from bazaar_peer.command.history import History, read_history
from bazaar_peer.command.origin import Origin
from bazaar_peer.command.ring_folder import NoProofError, RingError, token_in
from bazaar_peer.command.verify import audit
from bazaar_peer.core.quorum import majority
from bazaar_peer.runtime.checkpoint_file import read_checkpoint
from bazaar_peer.runtime.credential import admin_headers
from bazaar_peer.runtime.files import Files, VolumeError
from bazaar_peer.runtime.journal_file import SUFFIX
from bazaar_peer.runtime.log_files import ORIGIN

ASK_S, CONNECT_S = 30.0, 5.0
URLS_MAX = 64
LOG_MAX_BYTES = 16 * 1024**3
"""Of one peer; more is no drill's log."""


T = TypeVar("T")


class Row(msgspec.Struct):
    """One member, in an answer to GET /v1/ring."""

    id: int
    url: str
    voter: bool = True
    https: str = ""


class RingTold(msgspec.Struct):
    """What a peer says of its ring."""

    index: int
    """The higher, the newer."""
    peers: list[Row]


class SegmentTold(msgspec.Struct):
    number: int


class LogTold(msgspec.Struct):
    """What a peer says of its log."""

    ring: str
    peer: int
    segments: list[SegmentTold]
    recovered: bool = False


class Copied(NamedTuple):
    """One member's log, as it was copied."""

    ring: str
    peer: int
    folder: Path
    origin: Path | None
    """The state that the ring was recovered with, if this peer has it."""


class Unreachable(Exception):  # noqa: N818 - a minority of them is no fault
    """A member that did not answer, or not as a peer does."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


def verify(urls: list[str], token_file: Path | None, acknowledged: Path | None) -> Report:
    """Audit a running ring.

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
        copied = asyncio.run(_copy_all(urls, token, Path(folder), report))
        histories = [read_history(one.peer, one.folder, one.folder / "none") for one in copied]
        origin = _origin(copied)
    _reach_back(histories, origin)
    audit(histories, [], origin, keys, report)
    return report


def _origin(copied: list[Copied]) -> Origin | None:
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


async def _copy_all(urls: list[str], token: str, folder: Path, report: Report) -> list[Copied]:
    timeout = aiohttp.ClientTimeout(total=ASK_S, sock_connect=CONNECT_S)
    headers = admin_headers(token)
    copied: list[Copied] = []
    silent: list[str] = []
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as http:
        rows = await _members(http, urls)
        for place, url in enumerate(urls if len(urls) > 1 else _urls(rows, urls[0])):
            try:
                copied.append(await _copy(http, url.rstrip("/"), folder / str(place)))
            except Unreachable as why:
                silent.append(f"{url}: not audited, {why}")
    report.counted.extend(silent)
    if len({one.ring for one in copied}) > 1:
        rings = sorted({one.ring for one in copied})
        raise RingError(f"these peers are of several rings, {', '.join(rings)}: name one ring's")
    if len({one.peer for one in copied}) < len(copied):
        raise RingError("one peer was named twice: name each once, or one that names the others")
    _see_majority(rows, {one.peer for one in copied}, silent)
    return copied


async def _members(http: aiohttp.ClientSession, urls: list[str]) -> list[Row]:
    """Ask who is in the ring; the newest answer counts.

    Raises:
        RingError: nobody there is a peer; NoProofError: nobody answers.
    """
    found: list[RingTold] = []
    silent: list[Unreachable] = []
    for url in urls:
        try:
            found.append(await _json(http, f"{url.rstrip('/')}/v1/ring", RingTold))
        except Unreachable as why:
            silent.append(why)
    if not found:
        told = "; ".join(
            f"no answer from {url}: {why}" for url, why in zip(urls, silent, strict=True)
        )
        refused = all(400 <= why.status < 429 for why in silent)
        raise RingError(told) if refused else NoProofError(told)
    return max(found, key=lambda told: told.index).peers


def _urls(rows: list[Row], asked: str) -> list[str]:
    """Return where all members are; who was asked by TLS is not followed into the clear.

    Raises:
        RingError: nobody says where the others speak TLS.
    """
    if urlsplit(asked).scheme != "https":
        return [row.url for row in rows]
    if missing := [row.id for row in rows if not row.https]:
        raise RingError(f"{asked} names no https address of peer {missing[0]}: name all by --url")
    return [row.https for row in rows]


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


async def _copy(http: aiohttp.ClientSession, url: str, folder: Path) -> Copied:
    """Copy a peer's segments, oldest first."""
    (folder / "journal").mkdir(parents=True)
    after, size = 0, 0
    while True:
        found = await _json(http, f"{url}/v1/log?after={after}", LogTold)
        for segment in found.segments:
            after = segment.number
            size += await _segment(http, url, after, folder / "journal" / f"{after:012}{SUFFIX}")
            if size > LOG_MAX_BYTES:
                raise NoProofError(f"the log of {url} is larger than {LOG_MAX_BYTES} bytes")
        if not found.segments:
            origin = folder / "origin" if found.recovered else None
            if origin is not None:
                await _segment(http, url, ORIGIN, origin)
            return Copied(found.ring, found.peer, folder, origin)


async def _segment(http: aiohttp.ClientSession, url: str, number: int, path: Path) -> int:
    with path.open("wb") as file:
        while found := await _get(http, f"{url}/v1/log/{number}?after={file.tell()}"):
            await asyncio.to_thread(file.write, found)
        return file.tell()


async def _json(http: aiohttp.ClientSession, url: str, of: type[T]) -> T:
    body = await _get(http, url)
    try:
        return msgspec.json.decode(body, type=of)
    except (msgspec.MsgspecError, UnicodeDecodeError) as wrong:
        raise Unreachable(f"{url} answers, but not as a peer does: {wrong}") from wrong


async def _get(http: aiohttp.ClientSession, url: str) -> bytes:
    """Get a body.

    Raises:
        Unreachable: no answer, or none that helps.
        RingError: the answer is that we may not, which no other peer will answer otherwise.
    """
    try:
        async with http.get(url) as answer:
            body = await answer.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unreachable(no_answer(error)) from error
    if answer.status == 401:
        raise RingError("the logs are shown to who has the ring's token: give it as --token-file")
    if answer.status == 403:
        raise RingError(f"{url} refuses: {why_refused(_problem(body), answer.status)}")
    if answer.status != 200:
        raise Unreachable(f"status {answer.status} from {url}", answer.status)
    return body


def _problem(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
