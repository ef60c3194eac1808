"""The live page at a peer: served by each, and let in by the others of its ring."""

from __future__ import annotations

import re

import aiohttp
import pytest

from bazaar_peer.core.events import Event, Tick
from bazaar_peer.runtime.client_port import ClientPort, make_app
from bazaar_peer.runtime.settings import ProcessSettings

from .conftest import Served


async def test_a_peer_serves_the_page_that_may_ask_its_ring(served: Served) -> None:
    async with served.session.get(served.url + "/") as response:
        page = await response.text()
        policy = response.headers["Content-Security-Policy"]

    assert response.status == 200
    assert "<title>Bazaar</title>" in page
    (connect,) = re.findall(r"connect-src ([^;]+)", policy)
    assert connect.startswith("'self' http://127.0.0.1:")
    assert len(connect.split()) == 33, "all peers that there may be soon"


async def test_pages_of_the_rings_peers_may_read_answers_and_refusals(served: Served) -> None:
    async with served.session.get(served.url + "/") as response:
        origin = response.headers["Content-Security-Policy"].partition("'self' http")[2].split()[2]
    for method, path, status in [
        ("GET", "/v1/ring", 200),
        ("GET", "/v1/stock?consistency=odd", 400),
        ("OPTIONS", "/v1/resign", 204),
    ]:
        for asks, told in [(origin, origin), ("http://evil.test", None)]:
            async with served.session.request(
                method, served.url + path, headers={"Origin": asks}
            ) as response:
                assert response.status == status
                assert response.headers.get("Access-Control-Allow-Origin") == told


EVIL = "http://evil.example"
ORDER = {"item": "salt", "quantity": 1}


def asked(served: Served) -> list[Event]:
    """Return what came to the core from outside."""
    return [event for event in served.core.events if not isinstance(event, Tick)]


async def test_no_other_site_makes_an_order(served: Served) -> None:
    for origin in (EVIL, "null", "http://127.0.0.1:1", served.url + ".evil.example"):
        status, told, headers = await served.ask("POST", "/v1/orders", ORDER, {"Origin": origin})

        assert (status, told["status"], told["field"]) == (403, 403, "Origin"), origin
        assert headers["Content-Type"] == "application/problem+json"
        assert "Access-Control-Allow-Origin" not in headers
    assert served.core.commands == []


@pytest.mark.parametrize("path", ["/v1/sessions", "/v1/resign", "/v1/faults", "/v1/nowhere"])
async def test_no_other_site_asks_what_needs_no_body(served: Served, path: str) -> None:
    """A browser sends an empty POST without asking first."""
    status, _, _ = await served.ask("POST", path, headers={"Origin": EVIL})

    assert status == 403
    assert asked(served) == []


async def test_no_other_site_opens_a_session(served: Served) -> None:
    for origin, opened in ((EVIL, False), (served.url, True)):
        handshake = served.session.ws_connect(served.url + "/v1/session", origin=origin)
        if opened:
            async with handshake as socket:
                assert (await socket.receive_json())["window"] == 1024
            continue
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await handshake
        assert refused.value.status == 403
        assert asked(served) == []


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8600", "localhost.evil.example", "127.0.0.2:80", "[::2]"]
)
async def test_a_name_of_somebody_else_s_is_not_answered(served: Served, host: str) -> None:
    """DNS rebinding: its page has that name for its origin, and would read all that is answered."""
    headers = {"Host": host, "Origin": f"http://{host}"}
    for method, path in [("GET", "/v1/ring"), ("GET", "/"), ("POST", "/v1/cut")]:
        status, told, _ = await served.ask(method, path, headers=headers)

        assert (status, told["field"]) == (403, "Host")
        assert "http://127.0.0.1:8600" in told["detail"], "where it may be asked"
    assert asked(served) == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8600", "127.0.0.1:1", "[::1]:8600"])
async def test_this_machine_s_names_are_answered(served: Served, host: str) -> None:
    status, _, _ = await served.ask("POST", "/v1/orders", ORDER, {"Host": host})

    assert status == 200
    assert len(served.core.commands) == 1


async def test_pages_of_this_peer_and_of_others_of_its_ring_may_order(served: Served) -> None:
    """A page goes on through another peer; by either of this machine's two names."""
    for origin in (served.url, "http://127.0.0.1:8601", "http://localhost:8601"):
        status, _, _ = await served.ask("POST", "/v1/orders", ORDER, {"Origin": origin})
        assert status == 200, origin
    assert len(served.core.commands) == 3


async def test_in_a_cluster_an_ingress_may_name_a_peer_and_only_its_own_pages_change(
    served: Served,
) -> None:
    settings = ProcessSettings(me=0, peers=3, ring="stub", volume="", hosts="bazaar-{}.peers")
    app = make_app(served.driver, served.core, settings)  # type: ignore[arg-type]
    port = ClientPort(app, served.driver, "127.0.0.1", 0)
    await port.start()
    url = f"http://127.0.0.1:{port.port}/v1/orders"
    found = []
    for origin in ({}, {"Origin": "https://shop.example"}, {"Origin": EVIL}):
        headers = {"Host": "shop.example", **origin}
        async with served.session.post(url, json=ORDER, headers=headers) as response:
            found.append(response.status)
    await port.close()

    assert found == [200, 200, 403]
    assert len(served.core.commands) == 2
