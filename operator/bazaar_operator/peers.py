"""Peers as the operator speaks with them: by pod address, with short timeouts.

By TLS where the ring has certificates: a token that is sent in clear can be heard, and an answer
that comes in clear can be anybody's.
"""

from __future__ import annotations

import functools
import ssl
import time
from typing import Any

import aiohttp
import msgspec
from msgspec import structs

from bazaar_operator import labels
from bazaar_operator.observation import Address
from bazaar_operator.views import STARTING, PeerView

LOOK_S = 1.0
POST_S = 3.0
AGAIN_S = 30.0
"""Who spoke plainly is tried by TLS again after so long."""
ADDRESSES_MAX = 1000
RINGS_MAX = 256
"""Of so many rings it is kept in memory whom they trust."""

NOT_SENT = aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, ssl.SSLError
"""Errors of a connection that did not come about."""

_view = msgspec.json.Decoder(PeerView)


class PeerError(Exception):
    """A peer that refused, or did not answer; the next observation decides what then."""


class Peers:
    def __init__(self, port: int = labels.CLIENT_PORT, https_port: int = labels.HTTPS_PORT) -> None:
        # A proxy of the environment is not for pods.
        self._session = aiohttp.ClientSession(trust_env=False)
        self.port, self.https_port = port, https_port
        self._plain: dict[str, float] = {}
        """By address: when somebody there spoke plainly who may know TLS."""

    async def close(self) -> None:
        await self._session.close()

    async def look(self, at: Address) -> PeerView | None:
        """Return what the peer says of itself; None is silence, whatever the reason.

        Where TLS is required, what is said in clear counts of nobody but who waits for a
        certificate: whoever has one serves by TLS.
        """
        tried = self._tries_tls(at)
        try:
            view = await self._look(at, by_tls=True) if tried else None
        except TimeoutError:
            if at.required:  # who has no certificate says no at once
                return None
            view = None
        if view is not None:
            return structs.replace(view, verified=True)
        try:
            view = await self._look(at, by_tls=False)
        except TimeoutError:
            return None
        if view is None or (at.required and view.state != STARTING):
            return None
        if tried:
            if len(self._plain) >= ADDRESSES_MAX:
                self._plain.clear()
            self._plain[at.ip] = time.monotonic()
        return structs.replace(view, verified=False)

    def _tries_tls(self, at: Address) -> bool:
        """Tell whether to; who spoke plainly of late is not made to wait for it each time."""
        since = time.monotonic() - self._plain.get(at.ip, -AGAIN_S)
        return bool(at.trust) and (at.required or since >= AGAIN_S)

    async def _look(self, at: Address, *, by_tls: bool) -> PeerView | None:
        """Raises TimeoutError: nobody said anything within the time."""
        limit = aiohttp.ClientTimeout(total=LOOK_S)
        try:
            where = self._where(at, "/v1/peer", by_tls=by_tls)
            async with self._session.get(**where, timeout=limit) as answer:
                return _view.decode(await answer.read()) if answer.status == 200 else None
        except TimeoutError:
            raise
        except (aiohttp.ClientError, OSError, msgspec.MsgspecError):
            return None

    async def post(self, at: Address, path: str, token: str, body: dict[str, Any]) -> None:
        """Send an order of the operator.

        Raises:
            PeerError: It was refused, or no answer came; it may have been carried out all the same.
        """
        if at.required and not at.trust:
            raise PeerError(f"{path} at {at.ip}: whom the ring trusts cannot be read")
        try:
            if self._tries_tls(at):
                try:
                    await self._post(at, path, token, body, by_tls=True)
                except NOT_SENT:
                    if at.required:
                        raise
                else:
                    return
            await self._post(at, path, token, body, by_tls=False)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise PeerError(f"{path} at {at.ip}: {error!r}") from error

    async def _post(
        self, at: Address, path: str, token: str, body: dict[str, Any], *, by_tls: bool
    ) -> None:
        async with self._session.post(
            **self._where(at, path, by_tls=by_tls),
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=aiohttp.ClientTimeout(total=POST_S, sock_connect=LOOK_S),
        ) as answer:
            if answer.status >= 300:
                said = (await answer.read()).decode(errors="replace")[:300]
                raise PeerError(f"{path} at {at.ip}: {answer.status} {said}")

    def _where(self, at: Address, path: str, *, by_tls: bool) -> dict[str, Any]:
        host = f"[{at.ip}]" if ":" in at.ip else at.ip
        if not by_tls:
            return {"url": f"http://{host}:{self.port}{path}", "allow_redirects": False}
        return {
            "url": f"https://{host}:{self.https_port}{path}",
            "ssl": _context(at.trust),
            "server_hostname": at.name,
            "allow_redirects": False,
        }


@functools.lru_cache(RINGS_MAX)
def _context(trust: str) -> ssl.SSLContext:
    """Trust these alone; raises ssl.SSLError if they are no certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=trust)
    return context
