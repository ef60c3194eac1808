"""A ring that requires TLS of who shows its token hears it in clear from its own host alone.

That is where a forwarded port ends.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from bazaar_peer.runtime.certificates import OFFERED, REQUIRED, Certificates
from bazaar_peer.runtime.credential import CERTIFICATES, TOKEN, authorize_admin, is_admin
from bazaar_peer.runtime.problems import Problem

HERE, ELSEWHERE = "127.0.0.1", "10.244.1.7"


def asks(mode: str | None, host: str, *, by_tls: bool = False, token: str = "t") -> web.Request:
    """A request to a ring that takes its token so; None: it has no certificates."""
    app = web.Application()
    app[TOKEN] = "t"
    if mode is not None:
        app[CERTIFICATES] = cast(Certificates, SimpleNamespace(mode=REQUIRED, token_mode=mode))
    known: dict[str, Any] = {"peername": (host, 1), "sslcontext": object() if by_tls else None}
    transport = mock.Mock(spec=asyncio.Transport)
    transport.get_extra_info.side_effect = lambda name, default=None: known.get(name, default)
    headers = {"Authorization": f"Bearer {token}"}
    return make_mocked_request("POST", "/v1/members", headers, app=app, transport=transport)


@pytest.mark.parametrize(
    ("mode", "host", "by_tls"),
    [
        (None, ELSEWHERE, False),
        (OFFERED, ELSEWHERE, False),
        (REQUIRED, HERE, False),
        (REQUIRED, "::1", False),
        (REQUIRED, ELSEWHERE, True),
    ],
)
def test_token_counts(mode: str | None, host: str, *, by_tls: bool) -> None:
    request = asks(mode, host, by_tls=by_tls)

    authorize_admin(request)
    assert is_admin(request)


@pytest.mark.parametrize("host", [ELSEWHERE, "fd00::7", "", "a socket"])
def test_token_that_others_may_have_heard_does_not_count(host: str) -> None:
    request = asks(REQUIRED, host)

    with pytest.raises(Problem, match="requires TLS") as refused:
        authorize_admin(request)
    assert refused.value.status == 403
    assert not is_admin(request)


def test_another_token_counts_nowhere() -> None:
    for host, by_tls in ((HERE, False), (ELSEWHERE, True)):
        request = asks(REQUIRED, host, by_tls=by_tls, token="u")
        with pytest.raises(Problem, match="only who shows the ring's token"):
            authorize_admin(request)
        assert not is_admin(request)
