"""An empty volume's way into its ring (R10, R14).

It has no vote and no life yet. It takes a random name, durably, and asks whoever serves to be
noted under it; once *committed* members name it, it is formatted as the life that they gave it,
and copies the state as a learner. Asking twice, or several peers, does no harm: the name decides.
In a cluster it may also be formatted as a first one of its ring (waiting.py), and gives that some
time while its place is still that of a first one.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import secrets
import ssl
import time
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec

from bazaar_peer.core.messages import Member, MembersChanged
from bazaar_peer.core.types import (
    ORIGIN,
    Limits,
    Position,
    incarnation_of,
    ordinal_of,
    peer_id,
)
from bazaar_peer.runtime.answers import body_within
from bazaar_peer.runtime.certificates import REQUIRED
from bazaar_peer.runtime.credential import admin_headers
from bazaar_peer.runtime.files import Files, place_file
from bazaar_peer.runtime.recovering import discard
from bazaar_peer.runtime.restoring import AWAITING, awaits, why_awaiting
from bazaar_peer.runtime.set_aside import set_aside
from bazaar_peer.runtime.settings import ProcessSettings
from bazaar_peer.runtime.volume import Identity, format_volume, holds_data, locked
from bazaar_peer.runtime.waiting import Waiting

log = logging.getLogger("bazaar.joining")

ASK_S = 0.5
"""Between two rounds of asking."""
ANSWER_S = 2.0
CLUSTER_MAX = 24
"""A ring in a cluster may have grown to so many since; the names of others are not found."""
PATIENCE_S = 5.0
"""So long a volume of a ring that is being made waits to be formatted, before it asks."""
BODY_MAX_BYTES = 1 << 20


class NotWanted(Exception):  # noqa: N818 - an answer, not a fault
    """The ring has no place for this ordinal."""


def name_of_volume(path: Path, files: Files | None = None) -> str:
    """Return the name by which the empty volume asks, made once and durably."""
    files = files or Files()
    files.make_folder(path)
    file = path / "asks"
    if not file.exists():
        os.close(place_file(files, file, secrets.token_hex(16).encode()))
    return files.read(file).decode()


class Lying(NamedTuple):
    """What lies in the folder until the ring has let the peer in: it may still be needed."""

    state: str
    why: str
    ring: str = ""
    """Whose volume it is, of a former ring's."""
    last: Position = ORIGIN
    """Where its journal ends."""


NOTHING = Lying("empty", "its volume is empty: it has no vote before the ring has let it in")


async def join(settings: ProcessSettings, waiting: Waiting, lying: Lying = NOTHING) -> None:
    """Ask until committed members name this volume, then format it as their member.

    A damaged volume, or a former ring's, stays where it is until then: a recovery may need it.

    Raises:
        Locked: another process has the volume.
        NotWanted: the ring is smaller; in a cluster the peer waits until it is not.
    """
    path = Path(settings.volume)
    with locked(path):
        asks = _Asks(settings, waiting, name_of_volume(path), lying)
        log.info("asks_to_join", extra={"fields": {"volume": asks.volume}})
        try:
            await asks.run()
        finally:
            await waiting.settled()
        if waiting.failure is not None:
            raise waiting.failure
        if not waiting.formatted.is_set():
            _format(path, settings, asks)


class _Asks:
    """One volume's rounds of asking; `members` are the ones that name it, in the end."""

    members: MembersChanged

    def __init__(
        self, settings: ProcessSettings, waiting: Waiting, volume: str, lying: Lying
    ) -> None:
        self.settings, self.waiting, self.volume, self.lying = settings, waiting, volume, lying
        self.patient_until = math.inf if settings.in_cluster else 0.0
        """Counted from the moment at which the ring is first seen."""
        anywhere = settings.in_cluster and not settings.service
        most = CLUSTER_MAX if anywhere else settings.peers
        others = [peer for peer in range(most) if peer != settings.me]
        plain = [settings.client_url(peer) for peer in others]
        by_tls = [settings.https_url(peer) for peer in others]
        if settings.service:
            # It leads to whoever serves, those included that came later. A name that nobody has
            # takes seconds; one of a pod that was made anew may lead for half a minute to where it
            # was.
            plain.insert(0, f"http://{settings.service}:{settings.client_port}")
            by_tls.insert(0, f"https://{settings.service}:{settings.https_port}")
        self.urls = plain if waiting.certificates is None else by_tls + plain

    def _may_show_token(self, url: str) -> bool:
        """Tell whether it may be sent there: in clear until the ring requires TLS for it."""
        certificates = self.waiting.certificates
        plain = certificates is None or certificates.token_mode != REQUIRED
        return plain or url.startswith("https:")

    @property
    def _trusted(self) -> ssl.SSLContext | bool:
        certificates = self.waiting.certificates
        return (certificates and certificates.client) or True

    async def run(self) -> None:
        """Return when committed members name the volume, or when it was formatted meanwhile."""
        limit = aiohttp.ClientTimeout(total=ANSWER_S)
        headers = admin_headers(self.settings.token)
        async with aiohttp.ClientSession(timeout=limit, headers=headers) as http:
            self._tell()
            loop = asyncio.get_running_loop()
            rounds = loop.create_task(self._rounds(http))
            formatted = loop.create_task(self.waiting.formatted.wait())
            try:
                # A question to a name that nobody has takes long; whoever is formatted is done.
                await asyncio.wait([rounds, formatted], return_when=asyncio.FIRST_COMPLETED)
                if rounds.done():
                    rounds.result()
            finally:
                rounds.cancel()
                formatted.cancel()

    async def _rounds(self, http: aiohttp.ClientSession) -> None:
        while True:
            if await self._round(http):
                return
            await asyncio.sleep(ASK_S)

    async def _round(self, http: aiohttp.ClientSession) -> bool:
        """Ask one after the other until one answers, who is asked first the next time."""
        for url in filter(self._may_show_token, list(self.urls)):
            try:
                named = await self._ask(http, url)
            except NotWanted as answer:
                if not self.settings.in_cluster:
                    raise
                self.waiting.tell("unwanted", str(answer), volume=self.volume)
                named = False
            if named is not None:
                self.urls.remove(url)
                self.urls.insert(0, url)
                return named
        return False

    async def _ask(self, http: aiohttp.ClientSession, url: str) -> bool | None:
        """See whether one peer's applied members name the volume; if not, have it noted there.

        None: it is down, or no peer of this ring, or cannot have it noted: the others are asked.
        """
        settings = self.settings
        try:
            seen = await _json(http.get(f"{url}/v1/ring", ssl=self._trusted))
            if seen.get("ring") != settings.ring:
                return None
            self.members = members_of(seen)
            named = [m for m in self.members.members if m.volume == self.volume]
            if named and named[0].voter:
                self._rename()  # what went by this name has voted: this is an old copy, or a rest
            elif named:
                return True
            if self._first():
                self.patient_until = min(self.patient_until, time.monotonic() + PATIENCE_S)
                if time.monotonic() < self.patient_until:
                    return False
            body = {"ordinal": settings.me, "volume": self.volume}
            told = await _json(http.post(f"{url}/v1/admit", json=body, ssl=self._trusted))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError):
            return None
        if told.get("outcome") == "not_wanted":
            size = told.get("size")
            raise NotWanted(f"the ring has {size} peers, and no place for peer {settings.me}")
        self._tell()
        return False

    def _rename(self) -> None:
        """Take another name, durably: a name is let in once (R14)."""
        files, path = Files(), Path(self.settings.volume)
        log.warning("name_is_spent", extra={"fields": {"volume": self.volume}})
        files.remove(path / "asks")
        files.sync_folder(path)
        self.volume = name_of_volume(path, files)

    def _first(self) -> bool:
        """Tell whether the place is still that of a first volume, which may come to be this one."""
        first = Member(peer_id(self.settings.me, 0))
        return self.lying is NOTHING and first in self.members.members

    def _tell(self) -> None:
        lying, settings = self.lying, self.settings
        if lying is NOTHING and awaits(settings):
            lying = Lying(AWAITING, why_awaiting(settings))
        state, why, ring, last = lying
        self.waiting.tell(state, why, volume=self.volume, found=ring, last=last)


async def _json(request: Any) -> dict[str, Any]:
    async with request as response:
        response.raise_for_status()
        found = msgspec.json.decode(await body_within(response, BODY_MAX_BYTES))
    if not isinstance(found, dict):
        raise TypeError("no JSON object")
    return found


def members_of(seen: dict[str, Any]) -> MembersChanged:
    """Read the committed members back from a view of the ring."""
    members = tuple(
        Member(peer_id(int(m["id"]), int(m["incarnation"])), bool(m["voter"]), str(m["volume"]))
        for m in seen["peers"]
    )
    retired = tuple(int(life) for life in seen["retired"])
    return MembersChanged(members, str(seen["ring"]), Limits(), b"", retired)


def _format(path: Path, settings: ProcessSettings, asks: _Asks) -> None:
    volume, members = asks.volume, asks.members
    life = next(member.id for member in members.members if member.volume == volume)
    if ordinal_of(life) != settings.me:
        raise ValueError(f"volume {volume} is peer {ordinal_of(life)}'s, not peer {settings.me}'s")
    if holds_data(path):
        discard(path, Files())
        set_aside(path, asks.lying.ring or "damaged")
    identity = Identity(settings.ring, settings.me, incarnation_of(life), volume)
    format_volume(path, identity, members)
    log.info("joined", extra={"fields": {"incarnation": incarnation_of(life)}})
