"""The pods of a ring as a pod beside it may see and delete them, by its own service account."""

from __future__ import annotations

import json
import os
import ssl
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from bazaar_peer.runtime.answers import body_within

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds what it may show to the API server."""
ASK_S = 30.0
ANSWER_MAX_BYTES = 1 << 20
FORBIDDEN, NOT_FOUND, CONFLICT = 403, 404, 409


class PodsError(Exception):
    """The API server cannot be asked, or refuses; the text is for a person."""


class Pods(Protocol):
    """What a drill does to pods."""

    async def uid(self, pod: str) -> str | None:
        """Return a pod's uid, empty if there is none of that name; None: it may not be looked at.

        Raises:
            PodsError: no answer, or another refusal.
        """

    async def delete(self, pod: str, uid: str | None) -> None:
        """Delete a pod, if it is still the one of that uid; None: whichever it is.

        Raises:
            PodsError: it was not deleted.
        """


class AccountPods:
    """Pods of one namespace, through the API server of this pod's own cluster."""

    def __init__(self, namespace: str, account: Path = ACCOUNT) -> None:
        """Read the account.

        Raises:
            PodsError: this is no pod, or it has no account.
        """
        host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
        port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        try:
            token = (account / "token").read_text().strip()
            self._context = ssl.create_default_context(cafile=str(account / "ca.crt"))
        except OSError as wrong:
            raise PodsError(
                f"{wrong.filename} cannot be read: this runs in a pod with a service account, as "
                "`helm test` starts it; `bazaar drill` drills from anywhere"
            ) from None
        base = f"https://[{host}]" if ":" in host else f"https://{host}"
        self._where = f"{base}:{port}/api/v1/namespaces/{namespace}/pods"
        self._headers = {"Authorization": f"Bearer {token}"}

    async def uid(self, pod: str) -> str | None:
        status, said = await self._ask("GET", pod)
        if status == FORBIDDEN:
            return None
        if status == NOT_FOUND:
            return ""
        if status != 200:
            raise PodsError(f"pod {pod} cannot be looked at ({status}): {said}")
        try:
            return str(json.loads(said)["metadata"]["uid"])
        except (ValueError, TypeError, KeyError) as wrong:
            raise PodsError(f"the API server does not show pod {pod}: {wrong!r}") from wrong

    async def delete(self, pod: str, uid: str | None) -> None:
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        status, said = await self._ask("DELETE", pod, body)
        if status == CONFLICT:
            raise PodsError(f"pod {pod} was not deleted: somebody else has just replaced it")
        if status not in {200, 202}:
            raise PodsError(f"pod {pod} was not deleted ({status}): {said}")

    async def _ask(self, method: str, pod: str, body: object = None) -> tuple[int, str]:
        where, limit = f"{self._where}/{pod}", aiohttp.ClientTimeout(total=ASK_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=limit, headers=self._headers) as http,
                http.request(method, where, json=body, ssl=self._context) as answer,
            ):
                said = await body_within(answer, ANSWER_MAX_BYTES)
                return answer.status, said.decode(errors="replace")
        except (aiohttp.ClientError, TimeoutError, ValueError) as wrong:
            why = str(wrong) or type(wrong).__name__
            raise PodsError(f"no answer from the API server: {why}") from wrong
