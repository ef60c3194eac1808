"""The logs of a running ring's members, copied over HTTP: of whom did not answer, again.

A pod that was made anew keeps its name and not its address, and DNS gives the old one for as long
as it is kept, half a minute by habit: whoever is named, and does not answer, may yet be found.
"""

from __future__ import annotations

import asyncio
import ipaddress
import shutil
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from bazaar_peer.command.client import no_answer, why_refused
from bazaar_peer.command.ring_folder import NoProofError, RingError
from bazaar_peer.runtime.credential import admin_headers
from bazaar_peer.runtime.journal_file import SUFFIX
from bazaar_peer.runtime.log_files import ORIGIN

ASK_S, CONNECT_S = 30.0, 5.0
LOG_MAX_BYTES = 16 * 1024**3
"""Of one peer; more is no drill's log."""
ANYBODY = -1
"""Whoever is there."""
NO_ANSWER, STARTING, WRONG = 0, 503, 200
"""Statuses of who cannot be read: none at all, not yet, and of what no peer says."""

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

    def __init__(self, text: str, status: int = NO_ANSWER) -> None:
        super().__init__(text)
        self.status = status


class Copies:
    """Copies in a folder; `urls`: one member, which names the others, or those alone."""

    def __init__(self, urls: list[str], token: str, folder: Path) -> None:
        self._urls, self._headers, self._folder = urls, admin_headers(token), folder
        self.rows: list[Row] = []
        """All members, once anybody has named them."""
        self.copied: dict[str, Copied] = {}
        self.silent: dict[str, Unreachable] = {}
        """Why there is no copy of the others."""
        self._taken = 0

    async def take(self) -> None:
        """Copy the logs of all members of whom there is no copy yet.

        Raises:
            RingError: they cannot be copied as was asked; NoProofError: nobody answers.
        """
        timeout = aiohttp.ClientTimeout(total=ASK_S, sock_connect=CONNECT_S)
        self._taken += 1
        async with aiohttp.ClientSession(timeout=timeout, headers=self._headers) as http:
            try:
                self.rows = await _members(http, self._urls)
            except NoProofError:
                self.silent = {url: Unreachable("no answer") for url in self._urls}
                raise
            alone = dict.fromkeys(self._urls, ANYBODY)
            whom = alone if len(self._urls) > 1 else _named(self.rows, self._urls[0])
            for place, (url, peer) in enumerate(whom.items()):
                if url not in self.copied:
                    await self._copy(http, url, peer, self._folder / f"{self._taken}-{place}")

    async def _copy(self, http: aiohttp.ClientSession, url: str, peer: int, folder: Path) -> None:
        self.silent.pop(url, None)
        try:
            self.copied[url] = await _copy(http, url.rstrip("/"), peer, folder)
        except Unreachable as why:
            self.silent[url] = why
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    @property
    def may_be_found(self) -> bool:
        """Tell whether somebody who is named may be elsewhere by now, or through with starting."""
        return any(
            why.status in {NO_ANSWER, STARTING} and _is_name(url)
            for url, why in self.silent.items()
        )

    def told(self) -> list[str]:
        """Return a sentence for each of whom there is no copy."""
        return [f"{url}: not audited, {why}" for url, why in self.silent.items()]


def _is_name(url: str) -> bool:
    try:
        ipaddress.ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return True
    return False


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


def _named(rows: list[Row], asked: str) -> dict[str, int]:
    """Return where all members are; who was asked by TLS is not followed into the clear.

    Raises:
        RingError: nobody says where the others speak TLS.
    """
    if urlsplit(asked).scheme != "https":
        return {row.url: row.id for row in rows}
    if missing := [row.id for row in rows if not row.https]:
        raise RingError(f"{asked} names no https address of peer {missing[0]}: name all by --url")
    return {row.https: row.id for row in rows}


async def _copy(http: aiohttp.ClientSession, url: str, peer: int, folder: Path) -> Copied:
    """Copy that peer's segments, oldest first."""
    (folder / "journal").mkdir(parents=True)
    after, size = 0, 0
    while True:
        found = await _json(http, f"{url}/v1/log?after={after}", LogTold)
        if peer not in {ANYBODY, found.peer}:
            raise Unreachable(f"peer {found.peer} is there, and not peer {peer}")
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
        raise Unreachable(f"{url} answers, but not as a peer does: {wrong}", WRONG) from wrong


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
