"""An empty volume shows its ring's token to nobody in clear, once the ring requires TLS for it.

Until then it must get in, also where peers of a former release serve clients no TLS.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import SSLContext

import pytest
from aiohttp import web
from msgspec import structs

from bazaar_peer.runtime import joining
from bazaar_peer.runtime.certificates import OFFERED, REQUIRED
from bazaar_peer.runtime.settings import ProcessSettings
from bazaar_peer.runtime.waiting import Waiting
from bench.pods import Folder

from .test_joining import member, pod

NET = "127.0.0"


def asks(folder: Folder, mode: str, settings: ProcessSettings) -> joining._Asks:
    (folder.path / "token-mode").write_text(mode)
    waiting = Waiting(settings, certificates=folder.certificates(0))
    return joining._Asks(settings, waiting, "the-volume", joining.NOTHING)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "certificates", NET)


@asynccontextmanager
async def peer_1(settings: ProcessSettings, context: SSLContext | None) -> AsyncIterator[list[str]]:
    """Serve a peer that has let the volume in, by TLS or in clear; yield who showed what."""
    shown: list[str] = []
    named = [member(0, incarnation=1, voter=False, volume="the-volume"), member(1)]

    async def view(request: web.Request) -> web.Response:
        shown.append(f"{request.scheme} {request.headers.get('Authorization')}")
        return web.json_response({"ring": "r", "retired": [], "size": 3, "peers": named})

    app = web.Application()
    app.router.add_get("/v1/ring", view)
    runner = web.AppRunner(app)
    await runner.setup()
    port = settings.https_port if context else settings.client_port
    await web.TCPSite(runner, f"{NET}.1", port, ssl_context=context).start()
    try:
        yield shown
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("mode", [OFFERED, REQUIRED])
async def test_token_goes_by_tls(
    mode: str, folder: Folder, tmp_path: Path, unused_tcp_port: int
) -> None:
    settings = pod(tmp_path, port=unused_tcp_port)
    async with peer_1(settings, folder.certificates(1).for_clients) as shown:
        await asyncio.wait_for(asks(folder, mode, settings).run(), 10)

    assert shown == ["https Bearer sixteen characters"]


async def test_token_goes_in_clear_to_who_knows_no_tls_yet(
    folder: Folder, tmp_path: Path, unused_tcp_port: int
) -> None:
    settings = pod(tmp_path, port=unused_tcp_port)
    async with peer_1(settings, None) as shown:
        await asyncio.wait_for(asks(folder, OFFERED, settings).run(), 10)

    assert shown == ["http Bearer sixteen characters"]


async def test_token_goes_to_nobody_in_clear_where_tls_is_required(
    folder: Folder, tmp_path: Path, unused_tcp_port: int
) -> None:
    settings = pod(tmp_path, port=unused_tcp_port)
    async with peer_1(settings, None) as shown:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asks(folder, REQUIRED, settings).run(), 1.5)

    assert shown == []


def test_service_is_asked_by_tls_first(folder: Folder, tmp_path: Path) -> None:
    settings = structs.replace(pod(tmp_path), service="shop-client")

    assert asks(folder, OFFERED, settings).urls == [
        "https://shop-client:8602",
        "https://127.0.0.1:8602",
        "https://127.0.0.2:8602",
        "http://shop-client:8600",
        "http://127.0.0.1:8600",
        "http://127.0.0.2:8600",
    ]
