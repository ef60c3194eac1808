"""How the operator speaks with peers: in clear, or by TLS with whom the ring trusts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from socket import socket
from typing import Any

import pytest
from aiohttp import web

from bazaar_operator import peers as operator_peers
from bazaar_operator.observation import Address
from bazaar_operator.peers import PeerError, Peers
from bazaar_operator.views import OFFERED, REQUIRED
from bench.pods import Folder

NET, TOKEN = "127.0.0", "the token"


class Peer:
    """A peer at 127.0.0.1, and what came to it in clear and by TLS."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.came: list[tuple[str, str, str]] = []
        self.state = "serving"
        self.more: dict[str, object] = {}
        self.ports = tuple(_free() for _ in range(2))

    async def _answer(self, request: web.Request) -> web.Response:
        shown = request.headers.get("Authorization", "")
        self.came.append((request.scheme, request.path, shown))
        return web.json_response({"state": self.state, "ordinal": 1} | self.more)

    @asynccontextmanager
    async def serving(self, *schemes: str, shows: int = 1) -> AsyncIterator[Peers]:
        """Serve by http, https or both; `shows`: whose certificate."""
        app = web.Application()
        app.router.add_route("*", "/{anything:.*}", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        files = self.folder.certificates(shows)
        for scheme, port in zip(("http", "https"), self.ports, strict=True):
            if scheme in schemes:
                context = files.for_clients if scheme == "https" else None
                await web.TCPSite(runner, f"{NET}.1", port, ssl_context=context).start()
        peers = Peers(*self.ports)
        try:
            yield peers
        finally:
            await peers.close()
            await runner.cleanup()

    def at(self, mode: str = "") -> Address:
        trust = self.folder.ca.certificate if mode else ""
        return Address(f"{NET}.1", f"{NET}.1", trust, required=mode == REQUIRED)


def _free() -> int:
    with socket() as probe:
        probe.bind((f"{NET}.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def peer(tmp_path: Path) -> Peer:
    return Peer(Folder(tmp_path / "certificates", NET))


def noted(peers: Peers, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Note of each look from now on whether it is by TLS."""
    tried: list[bool] = []
    look = peers._look

    async def note(at: Address, *, by_tls: bool) -> object:
        tried.append(by_tls)
        return await look(at, by_tls=by_tls)

    monkeypatch.setattr(peers, "_look", note)
    return tried


async def order(peers: Peers, at: Address) -> None:
    body: dict[str, Any] = {"size": 3}
    await peers.post(at, "/v1/members", TOKEN, body)


@pytest.mark.parametrize(
    ("mode", "serves", "schemes"),
    [
        ("", ("http",), ["http", "http"]),
        (OFFERED, ("http",), ["http", "http"]),
        (OFFERED, ("http", "https"), ["https", "https"]),
        (REQUIRED, ("http", "https"), ["https", "https"]),
        (REQUIRED, ("https",), ["https", "https"]),
    ],
)
async def test_peer_is_asked_by_tls_where_it_can_be(
    mode: str, serves: tuple[str, ...], schemes: list[str], peer: Peer
) -> None:
    async with peer.serving(*serves) as peers:
        view = await peers.look(peer.at(mode))
        await order(peers, peer.at(mode))

    assert view is not None
    assert view.state == "serving"
    bearer = f"Bearer {TOKEN}"
    assert peer.came == [(schemes[0], "/v1/peer", ""), (schemes[1], "/v1/members", bearer)]


async def test_token_is_never_sent_in_clear_to_a_ring_that_requires_tls(peer: Peer) -> None:
    async with peer.serving("http") as peers:
        with pytest.raises(PeerError, match="/v1/members"):
            await order(peers, peer.at(REQUIRED))

    assert peer.came == []


@pytest.mark.parametrize("mode", [OFFERED, REQUIRED])
async def test_who_shows_another_certificate_is_no_peer_of_that_name(mode: str, peer: Peer) -> None:
    async with peer.serving("https", shows=2) as peers:
        assert await peers.look(peer.at(mode)) is None
        with pytest.raises(PeerError):
            await order(peers, peer.at(mode))

    assert peer.came == []


@pytest.mark.parametrize("state", ["serving", "empty", "damaged", "former", "starting"])
async def test_what_is_said_in_clear_counts_only_of_who_waits_for_a_certificate(
    state: str, peer: Peer
) -> None:
    """Whoever has one serves by TLS, also while it waits for something else."""
    peer.state = state
    async with peer.serving("http") as peers:
        offered = await peers.look(peer.at(OFFERED))
        required = await peers.look(peer.at(REQUIRED))

    assert offered is not None
    assert (required is not None) is (state == "starting")


async def test_who_is_believed_was_verified(peer: Peer) -> None:
    """Whatever was answered."""
    async with peer.serving("http", "https") as peers:
        by_tls = await peers.look(peer.at(OFFERED))
    async with peer.serving("http") as peers:
        peer.more = {"verified": True}
        plain = await peers.look(peer.at(OFFERED))

    assert by_tls is not None
    assert plain is not None
    assert (by_tls.verified, plain.verified) == (True, False)


async def test_who_speaks_plainly_is_not_made_to_wait_for_tls_each_time(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with peer.serving("http") as peers:
        tried = noted(peers, monkeypatch)
        for _ in range(3):
            await peers.look(peer.at(OFFERED))
        assert tried == [True, False, False, False]

        monkeypatch.setattr(operator_peers, "AGAIN_S", 0.0)
        await peers.look(peer.at(OFFERED))
        assert tried[4:] == [True, False]


async def test_tls_is_tried_again_however_often_it_is_looked(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator looks each two seconds, and a pod's https may come later than its http."""
    monkeypatch.setattr(operator_peers, "AGAIN_S", 0.5)
    async with peer.serving("http", "https") as peers:
        peers._plain[f"{NET}.1"] = time.monotonic()  # it was not there a moment ago
        for _ in range(20):
            view = await peers.look(peer.at(OFFERED))
            assert view is not None
            if view.verified:
                return
            await asyncio.sleep(0.05)
    pytest.fail("it is never tried again")


@pytest.mark.parametrize("trust", ["rubbish", ""])
async def test_without_trust_that_can_be_read_nobody_is_believed(trust: str, peer: Peer) -> None:
    async with peer.serving("http", "https") as peers:
        at = peer.at(REQUIRED)._replace(trust=trust)
        assert await peers.look(at) is None
        with pytest.raises(PeerError):
            await order(peers, at)

    assert {path for _, path, _ in peer.came} == {"/v1/peer"}


@pytest.mark.parametrize(
    ("mode", "tried"), [("", [False]), (OFFERED, [True, False]), (REQUIRED, [True])]
)
async def test_who_is_silent_is_waited_for_once_where_tls_is_required(
    mode: str, tried: list[bool], peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that stands still: its connections are taken, and nothing is said."""
    monkeypatch.setattr(operator_peers, "LOOK_S", 0.1)
    listeners = [socket() for _ in peer.ports]
    for listener, port in zip(listeners, peer.ports, strict=True):
        listener.bind((f"{NET}.1", port))
        listener.listen()
    peers = Peers(*peer.ports)
    seen = noted(peers, monkeypatch)
    assert await peers.look(peer.at(mode)) is None
    assert seen == tried
    await peers.close()
    for listener in listeners:
        listener.close()
