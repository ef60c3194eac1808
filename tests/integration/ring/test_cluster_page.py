"""The page of a ring in a cluster: what stands between browser and pods outlives each of them.

A stand-in for `kubectl proxy` leads to real peers on this machine, as the API server leads to pods.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bazaar_peer.page import cluster
from bazaar_peer.page.kubectl import ClusterError, kubectl_proxy
from bench.rig import Ring, kill
from tests.integration.ring import kubectl
from tests.integration.ring.conftest import StartRing, deposit


def says(folder: Path, monkeypatch: pytest.MonkeyPatch, *script: str) -> None:
    """Put a kubectl on the PATH that does this."""
    folder.mkdir(exist_ok=True)
    program = folder / "kubectl"
    program.write_text("\n".join(("#!/bin/sh", *script, "")))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, port: int, peers: int) -> None:
    """Put a kubectl on the PATH that leads to these peers."""
    says(folder, monkeypatch, f'exec {sys.executable} {kubectl.__file__} "$@"')
    monkeypatch.setenv("PORT", str(port))
    monkeypatch.setenv("PEERS", str(peers))
    monkeypatch.setenv("FOLDER", str(folder))


@pytest.fixture
def rig(start: StartRing) -> Ring:
    found = start(3, "--no-agents", "--restart-after", "never")
    assert deposit(found, 0, "stock").status == 200
    return found


@pytest.fixture
async def page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rig: Ring
) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    stand_in(tmp_path / "bin", monkeypatch, rig.port, rig.peers)
    async with served() as found:
        yield found


@pytest.fixture
async def page_of_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """Pods that are ready, and nobody listens in them."""
    stand_in(tmp_path / "bin", monkeypatch, 1, 3)
    async with served() as found:
        yield found


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(cluster.serve("shops", "shop", "", 0, address.set_result))
    url = await asyncio.wait_for(address, 20)
    async with aiohttp.ClientSession() as http:
        yield url.rstrip("/"), http
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def entries(http: aiohttp.ClientSession, url: str, wanted: str) -> list[dict[str, Any]]:
    """Listen to the story until an entry of this kind or note comes."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(20), http.get(f"{url}/v1/story") as story:
        assert story.status == 200
        event = ""
        while line := (await story.content.readline()).decode():
            if line.startswith("event: "):
                event = line.removeprefix("event: ").strip()
            elif line.startswith("data: ") and event == "entries":
                found += json.loads(line.removeprefix("data: "))
            if any(wanted in (one["kind"], one.get("note")) for one in found):
                return found
    raise AssertionError("the story ended")


async def test_page_and_story_and_market_come_through(
    page: tuple[str, aiohttp.ClientSession],
) -> None:
    url, http = page
    async with http.get(f"{url}/") as answer:
        assert answer.status == 200
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    await entries(http, url, "reign_begun")
    async with http.get(f"{url}/v1/ring") as answer:
        assert {row["url"] for row in (await answer.json())["peers"]} == {url}
    order = {"item": "salt", "quantity": 1}
    async with http.post(f"{url}/v1/orders", json=order, headers={"Idempotency-Key": "a"}) as sold:
        assert (sold.status, (await sold.json())["outcome"]) == (200, "filled")


async def test_an_answer_that_comes_in_many_pieces_comes_through_whole(
    rig: Ring, page: tuple[str, aiohttp.ClientSession]
) -> None:
    url, http = page
    lots = [{"item": f"goods-{number}", "quantity": 1, "price": 1} for number in range(1500)]
    there = f"http://127.0.0.1:{rig.port}/v1/deposits"
    for lot in lots:
        async with http.post(there, json=lot) as answer:
            assert answer.status == 200
    async with http.get(f"{url}/v1/stock") as answer:
        told = await answer.json()
    assert {lot["item"] for lot in lots} <= set(told["items"])


async def test_every_pod_that_it_talked_to_may_die(
    rig: Ring, page: tuple[str, aiohttp.ClientSession]
) -> None:
    url, http = page
    await entries(http, url, "key")
    first = int((rig.own(0) or {})["pid"])
    kill(first, signal.SIGKILL)  # pods are asked in order: it was this one
    await entries(http, url, "key")
    async with http.get(f"{url}/v1/stock") as answer:
        assert answer.status == 200


async def test_pods_that_are_deleted_are_passed_over(
    tmp_path: Path, page: tuple[str, aiohttp.ClientSession]
) -> None:
    """The API server's 404 is no answer of a peer, neither for a story nor for an order."""
    url, http = page
    for number in (0, 1):
        (tmp_path / "bin" / f"deleted-{number}").touch()
    order = {"item": "salt", "quantity": 1}
    async with http.post(f"{url}/v1/orders", json=order, headers={"Idempotency-Key": "b"}) as sold:
        assert (sold.status, (await sold.json())["outcome"]) == (200, "filled")
    (tmp_path / "bin" / "deleted-1").unlink()
    (tmp_path / "bin" / "deleted-2").touch()
    async with http.get(f"{url}/v1/ring") as answer:
        assert (answer.status, len((await answer.json())["peers"])) == (200, 3)
    (tmp_path / "bin" / "deleted-1").touch()
    (tmp_path / "bin" / "deleted-0").unlink()
    await entries(http, url, "key")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["deleted-0", "deleted-1", "deleted-2"], 'pods "shop-2" not found'),
        (["forbidden"], 'is forbidden: cannot get "pods/proxy"'),
    ],
)
async def test_what_the_api_server_says_in_place_of_every_peer_is_quoted(
    tmp_path: Path, page: tuple[str, aiohttp.ClientSession], files: list[str], said: str
) -> None:
    url, http = page
    for name in files:
        (tmp_path / "bin" / name).touch()
    for path in ("/v1/ring", "/v1/story"):
        async with http.get(url + path) as answer:
            assert (answer.status, answer.content_type) == (503, "application/problem+json")
            assert said in (await answer.json())["detail"]


@pytest.mark.parametrize(
    ("files", "status"),
    [
        (["deleted-0", "deleted-1", "deleted-2"], 503),
        (["forbidden"], 503),
        (["cut"], 504),
        ([], 504),
    ],
    ids=["no pod", "no right", "cut off", "pod silent"],
)
async def test_only_an_order_that_was_surely_not_sent_is_answered_so(
    tmp_path: Path,
    page_of_nobody: tuple[str, aiohttp.ClientSession],
    files: list[str],
    status: int,
) -> None:
    """docs/http.md: 503, it was never sent; 504, unknown."""
    url, http = page_of_nobody
    for name in files:
        (tmp_path / "bin" / name).touch()
    order = {"item": "salt", "quantity": 1}
    async with http.post(f"{url}/v1/orders", json=order, headers={"Idempotency-Key": "c"}) as said:
        assert (said.status, said.content_type) == (status, "application/problem+json")
        assert ("send it again with the same" in (await said.json())["detail"]) == (status == 504)
    async with http.get(f"{url}/v1/stock") as said:
        assert said.status == 503, "a question is asked again in any case"


async def test_a_peer_s_own_refusal_is_its_answer(page: tuple[str, aiohttp.ClientSession]) -> None:
    url, http = page
    async with http.get(f"{url}/v1/record", params={"after": "soon"}) as answer:
        assert (answer.status, (await answer.json())["field"]) == (400, "after")


async def test_a_stranger_s_name_for_this_machine_is_refused(
    page: tuple[str, aiohttp.ClientSession],
) -> None:
    url, http = page
    async with http.get(f"{url}/v1/ring", headers={"Host": "evil.example"}) as answer:
        assert answer.status == 403


async def test_a_bazaar_that_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path / "bin", monkeypatch, 1, 0)
    with pytest.raises(ClusterError, match="no pod of a Bazaar shop in namespace shops"):
        await cluster.serve("shops", "shop", "", 0, lambda url: None)


async def test_without_kubectl_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ClusterError, match="kubectl is not on the PATH"):
        await cluster.serve("shops", "shop", "", 0, lambda url: None)


async def test_a_kubectl_that_says_much_is_read_all_the_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reads it: it stands still once the pipe is full, and the page with it."""
    stand_in(tmp_path / "bin", monkeypatch, 1, 1)
    asked = {"labelSelector": "bazaar.dev/bazaar=shop"}
    async with kubectl_proxy("shops", "") as proxy, aiohttp.ClientSession() as http:
        (tmp_path / "bin" / "chatty").touch()
        for _ in range(3):
            async with (
                asyncio.timeout(10),
                http.get(proxy.url + kubectl.PODS, params=asked) as told,
            ):
                assert told.status == 200
        async with asyncio.timeout(10):
            while "the last line" not in proxy.said():  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.02)
    assert len(proxy.said()) < 1000


async def test_a_kubectl_that_warns_before_it_serves_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warns = "echo 'W1124 a field is deprecated'"
    serves = "echo 'Starting to serve on 127.0.0.1:4711'"
    says(tmp_path, monkeypatch, warns, serves, "exec sleep 60")
    async with kubectl_proxy("shops", "") as proxy:
        assert proxy.url == "http://127.0.0.1:4711"


async def test_a_kubectl_that_fails_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = "echo 'error: no context exists with the name: nowhere'"
    says(tmp_path, monkeypatch, fails, "exit 1")
    with pytest.raises(ClusterError, match="no context exists with the name: nowhere"):
        await cluster.serve("shops", "shop", "nowhere", 0, lambda url: None)
