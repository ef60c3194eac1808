"""Peers as the operator speaks with them: by pod address, with short timeouts."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec

from bazaar_operator import labels
from bazaar_operator.views import PeerView

LOOK_S = 1.0
POST_S = 3.0

_view = msgspec.json.Decoder(PeerView)


class PeerError(Exception):
    """A peer that refused, or did not answer; the next observation decides what then."""


class Peers:
    def __init__(self, port: int = labels.CLIENT_PORT) -> None:
        # A proxy of the environment is not for pods.
        self._session = aiohttp.ClientSession(trust_env=False)
        self.port = port

    async def close(self) -> None:
        await self._session.close()

    async def look(self, ip: str) -> PeerView | None:
        """Return what the peer says of itself; None is silence, whatever the reason."""
        try:
            async with self._session.get(
                self._url(ip, "/v1/peer"), timeout=aiohttp.ClientTimeout(total=LOOK_S)
            ) as answer:
                return _view.decode(await answer.read()) if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.MsgspecError):
            return None

    async def post(self, ip: str, path: str, token: str, body: dict[str, Any]) -> None:
        """Send an order of the operator.

        Raises:
            PeerError: It was refused, or no answer came; it may have been carried out all the same.
        """
        try:
            async with self._session.post(
                self._url(ip, path),
                json=body,
                headers={"Authorization": f"Bearer {token}"},
                timeout=aiohttp.ClientTimeout(total=POST_S),
            ) as answer:
                if answer.status >= 300:
                    said = (await answer.read()).decode(errors="replace")[:300]
                    raise PeerError(f"{path} at {ip}: {answer.status} {said}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise PeerError(f"{path} at {ip}: {error!r}") from error

    def _url(self, ip: str, path: str) -> str:
        host = f"[{ip}]" if ":" in ip else ip
        return f"http://{host}:{self.port}{path}"
