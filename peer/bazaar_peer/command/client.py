"""A small client of any peer's HTTP interface, for the command line."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

import aiohttp

TIMEOUT_S = 70.0
"""A little more than the longest deadline a peer accepts."""
HINT = "is a ring running there? `bazaar up` starts one, --url names another peer"

TRUST_HINT = (
    "SSL_CERT_FILE names the file of whom to trust: in a cluster ca.crt of the Secret "
    "NAME-certificates"
)


class CallError(Exception):
    """No answer, or one that says no; the text is for a person."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status
        """Of the answer; 0: there is none."""
        self.exit_code = 2 if 400 <= status < 429 else 1


def fresh_key() -> str:
    return f"cli-{secrets.token_hex(8)}"


async def call(
    method: str, url: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """Ask one peer and return its JSON object.

    Raises:
        CallError: the peer cannot be reached, or refuses; 4xx gives exit code 2.
    """
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, url + path, json=body, headers=headers) as response,
        ):
            found = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise CallError(f"no answer from {url}: {no_answer(error, HINT)}") from error
    if response.status >= 400:
        raise CallError(why_refused(found, response.status), response.status)
    if not isinstance(found, dict):
        raise CallError(f"{url} answers, but not as a peer does ({HINT})")
    return found


def why_refused(problem: Any, status: int) -> str:
    """Return a problem in words, with the field that is wrong."""
    if not isinstance(problem, dict):
        return f"status {status}"
    detail = str(problem.get("detail") or problem.get("title") or f"status {status}")
    field = str(problem.get("field") or "")
    return f"{field}: {detail}" if field and field not in detail else detail


def no_answer(error: Exception, hint: str = "") -> str:
    """Say why there is none, and what to do about it."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        hint = TRUST_HINT
    why = str(error) or type(error).__name__
    return f"{why} ({hint})" if hint else why


def url_of(row: Mapping[str, Any], asked: str) -> str:
    """Return where a member is asked: by TLS, if the one that named it was and it can be."""
    return str(row.get("https") or row["url"] if asked.startswith("https:") else row["url"])


async def ring(url: str) -> dict[str, Any]:
    """Ask the ring of one peer, then every member for what it says of itself."""
    first = await call("GET", url, "/v1/ring")

    async def one(peer: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = await asyncio.wait_for(call("GET", url_of(peer, url), "/v1/ring"), 2.0)
        except (CallError, TimeoutError):
            return {**peer, "suspected": True}
        own = [found for found in answer["peers"] if found["id"] == peer["id"] and "pid" in found]
        return {**(own[0] if own else peer), "suspected": peer["suspected"]}

    first["peers"] = list(await asyncio.gather(*(one(peer) for peer in first["peers"])))
    return first
