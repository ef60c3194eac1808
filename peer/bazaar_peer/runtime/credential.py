"""Who may change the ring: whoever shows its token (DESIGN §2.8); everybody may trade and read.

Peers prove who they are by a secret derived from it (connections.py): neither is ever sent between
them.
"""

from __future__ import annotations

import hashlib
import hmac
from ipaddress import ip_address

from aiohttp import web

from bazaar_peer.runtime.certificates import REQUIRED, Certificates
from bazaar_peer.runtime.problems import Problem

CERTIFICATES = web.AppKey("certificates", Certificates)
"""There where the ring's peers show each other certificates."""
TOKEN = web.AppKey("token", str)
"""The application's token; empty: everybody on this machine may do everything."""
SCHEME = "Bearer "


def is_admin(request: web.Request) -> bool:
    """Tell whether the request shows the token, and shows it to nobody else."""
    return _shows_token(request) and not _is_overheard(request)


def _shows_token(request: web.Request) -> bool:
    token = request.app[TOKEN]
    shown = request.headers.get("Authorization", "")
    return not token or hmac.compare_digest(
        shown.encode("utf-8", "surrogateescape"), (SCHEME + token).encode()
    )


def _is_overheard(request: web.Request) -> bool:
    """Tell whether a ring that takes its token by TLS alone is asked in clear, from elsewhere."""
    certificates, transport = request.app.get(CERTIFICATES), request.transport
    if certificates is None or certificates.token_mode != REQUIRED:
        return False
    if transport is None:
        return True  # it is gone, and so is what it spoke
    if transport.get_extra_info("sslcontext") is not None:
        return False
    try:
        return not ip_address(request.remote or "").is_loopback
    except ValueError:
        return True


def authorize_admin(request: web.Request) -> None:
    """Let only those through that show the token, by TLS if the ring requires that.

    Raises:
        Problem: 401, 403.
    """
    if _is_overheard(request):
        raise Problem(
            403,
            "this ring requires TLS of who shows its token: ask by https at the port 8602, and"
            " replace the token, which others may have heard",
        )
    if not _shows_token(request):
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
