"""Who may change the ring: whoever shows its token (DESIGN §2.8); everybody may trade and read.

Peers prove who they are by a secret derived from it (connections.py): neither is ever sent between
them.
"""

from __future__ import annotations

import hashlib
import hmac

from aiohttp import web

from bazaar_peer.runtime.problems import Problem

TOKEN = web.AppKey("token", str)
"""The application's token; empty: everybody on this machine may do everything."""
SCHEME = "Bearer "


def is_admin(request: web.Request) -> bool:
    """Tell whether the request shows the token."""
    token = request.app[TOKEN]
    shown = request.headers.get("Authorization", "")
    return not token or hmac.compare_digest(
        shown.encode("utf-8", "surrogateescape"), (SCHEME + token).encode()
    )


def authorize_admin(request: web.Request) -> None:
    """Let only those through that show the token.

    Raises:
        Problem: 401.
    """
    if not is_admin(request):
        raise Problem(
            401,
            "only who shows the ring's token may: send it as `Authorization: Bearer TOKEN`",
            headers={"WWW-Authenticate": "Bearer"},
        )


def admin_headers(token: str) -> dict[str, str]:
    return {"Authorization": SCHEME + token} if token else {}


def between_peers(token: str) -> str:
    """Derive the secret that a ring's peers share."""
    return hmac.digest(token.encode(), b"between peers", hashlib.sha256).hex() if token else ""
