"""An empty volume's way into its ring (R10, R14).

It has no vote and no life yet. It takes a random name, durably, and asks whoever serves to be
noted under it; once *committed* members name it, it is formatted as the life that they gave it,
and copies the state as a learner. Asking twice, or several peers, does no harm: the name decides.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

from bazaar_peer.core.messages import Member, MembersChanged
from bazaar_peer.core.types import Limits, incarnation_of, ordinal_of, peer_id
from bazaar_peer.runtime.files import Files, place_file
from bazaar_peer.runtime.set_aside import set_aside
from bazaar_peer.runtime.volume import Identity, format_volume, holds_data

log = logging.getLogger("bazaar.joining")

ASK_S = 0.5
"""Between two rounds of asking."""
ANSWER_S = 2.0
BODY_MAX_BYTES = 1 << 20


class NotWanted(Exception):  # noqa: N818 - an answer, not a fault
    """The ring has no place for this ordinal."""


def name_of_volume(path: Path, files: Files | None = None) -> str:
    """Return the name by which the empty volume asks, made once and durably."""
    files = files or Files()
    path.mkdir(parents=True, exist_ok=True)
    file = path / "asks"
    if not file.exists():
        os.close(place_file(files, file, secrets.token_hex(16).encode()))
    return files.read(file).decode()


async def join(path: Path, ring: str, ordinal: int, urls: Sequence[str]) -> None:
    """Ask until committed members name this volume, then format it as their member.

    A damaged volume stays where it is until then: it may be what `bazaar recover` needs.

    Raises:
        NotWanted: the ring is smaller.
    """
    volume = name_of_volume(path)
    log.info("asks_to_join", extra={"fields": {"ordinal": ordinal, "volume": volume}})
    limit = aiohttp.ClientTimeout(total=ANSWER_S)
    async with aiohttp.ClientSession(timeout=limit) as http:
        while True:
            for url in urls:
                members = await _ask(http, url, ring, ordinal, volume)
                if members is not None:
                    _format(path, ring, ordinal, volume, members)
                    return
            await asyncio.sleep(ASK_S)


async def _ask(
    http: aiohttp.ClientSession, url: str, ring: str, ordinal: int, volume: str
) -> MembersChanged | None:
    """See whether one peer's applied members name the volume; if not, have it noted there."""
    try:
        seen = await _json(http.get(f"{url}/v1/ring"))
        if seen.get("ring") != ring:
            return None
        members = members_of(seen)
        if any(member.volume == volume for member in members.members):
            return members
        body = {"ordinal": ordinal, "volume": volume}
        told = await _json(http.post(f"{url}/v1/admit", json=body))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError):
        return None  # it is down, or no peer: the others are asked, and it is again later
    if told.get("outcome") == "not_wanted":
        raise NotWanted(f"the ring has {told.get('size')} peers, and no place for peer {ordinal}")
    return None


async def _json(request: Any) -> dict[str, Any]:
    async with request as response:
        response.raise_for_status()
        if (response.content_length or 0) > BODY_MAX_BYTES:
            raise ValueError("an answer too large")
        found = await response.json()
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


def _format(path: Path, ring: str, ordinal: int, volume: str, members: MembersChanged) -> None:
    life = next(member.id for member in members.members if member.volume == volume)
    if ordinal_of(life) != ordinal:
        raise ValueError(f"volume {volume} is peer {ordinal_of(life)}'s, not peer {ordinal}'s")
    if holds_data(path):
        set_aside(path, "damaged")
    format_volume(path, Identity(ring, ordinal, incarnation_of(life), volume), members)
    (path / "asks").unlink()
    log.info("joined", extra={"fields": {"ordinal": ordinal, "incarnation": incarnation_of(life)}})
