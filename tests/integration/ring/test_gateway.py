"""`--url kube:NAMESPACE/NAME`: commands that know nothing of clusters, with a ring in one.

A stand-in for kubectl leads to real peers on this machine, as the API server leads to pods.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bazaar_peer.page.gateway import reached
from bench.rig import Ring, kill
from tests.integration.ring.conftest import StartRing, bazaar, deposit, one_object
from tests.integration.ring.test_cluster_page import stand_in

URL = "kube:shops/shop"


@pytest.fixture
def rig(start: StartRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ring:
    found = start(3, "--no-agents", "--restart-after", "never")
    assert deposit(found, 0, "stock").status == 200
    stand_in(tmp_path / "bin", monkeypatch, found.port, found.peers)
    monkeypatch.setenv("BAZAAR_URL", URL)
    return found


@pytest.fixture
async def gateway(rig: Ring) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    async with reached("shops", "shop") as address, aiohttp.ClientSession() as http:
        yield address, http


def test_everything_that_one_does_with_a_ring_is_done_in_a_cluster(
    rig: Ring, tmp_path: Path
) -> None:
    bought = one_object("buy", "salt", 3, "--key", "once", "--buyer", "ann")
    assert bought["outcome"] == "filled"
    assert one_object("buy", "salt", 3, "--key", "once", "--buyer", "ann") == bought
    lot = one_object("sell", "silk", 2, "--price", 9)["lot"]
    assert one_object("withdraw", lot, 2)["outcome"] == "withdrawn"
    assert one_object("stock")["items"]["salt"]["on_offer"] > 0
    assert [trade["buyer"] for trade in one_object("trades")["trades"]] == ["ann"]

    ring = one_object("ring")
    assert [peer["suspected"] for peer in ring["peers"]] == [False] * 3
    assert len({peer["pid"] for peer in ring["peers"]}) == 3, "each was asked itself"

    _as_a_plugin()
    watched = bazaar("top", "--duration", 2)
    assert (watched.returncode, "3 of 3 vote" in watched.stdout) == (0, True), watched
    recorded = bazaar("record", tmp_path / "ring.story")
    assert (recorded.returncode, "did not answer" in recorded.stdout) == (0, False), recorded


def _as_a_plugin() -> None:
    """`kubectl bazaar` finds the ring of the present namespace."""

    def plugin(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        program = "from bazaar_peer.__main__ import kubectl_plugin; kubectl_plugin()"
        others = {name: value for name, value in os.environ.items() if name != "BAZAAR_URL"}
        return subprocess.run(
            [sys.executable, "-c", program, *words],
            env=others | environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    assert "kubectl bazaar [OPTIONS] COMMAND" in plugin("--help").stdout
    done = plugin("ring")
    assert done.returncode == 1
    assert "no pod of a Bazaar bazaar in namespace shops" in done.stderr
    done = plugin("ring", "--json", BAZAAR_URL="kube:shop")
    assert (done.returncode, len(json.loads(done.stdout)["peers"])) == (0, 3)


async def test_each_peer_has_an_address_and_whichever_dies_the_next_one_answers(
    rig: Ring, gateway: tuple[str, aiohttp.ClientSession]
) -> None:
    url, http = gateway
    async with http.get(f"{url}/v1/ring") as answer:
        peers = (await answer.json())["peers"]
    assert [row["url"] for row in peers] == [f"{url}/peers/{number}" for number in range(3)]

    await _reads_what_was_done(url, http)
    kill(int((rig.own(0) or {})["pid"]), signal.SIGKILL)

    async with http.get(f"{url}/v1/stock") as answer:
        assert answer.status == 200
    async with http.get(f"{url}/peers/0/v1/ring") as answer:
        assert (answer.status, answer.content_type) == (503, "application/problem+json")
    async with http.get(f"{url}/peers/1/v1/events") as events:
        assert (await events.content.readline()).startswith(b"event: ")


async def _reads_what_was_done(url: str, http: aiohttp.ClientSession) -> None:
    """Pass an answer's index on in the next question, to another peer (docs/http.md)."""
    order = {"item": "salt", "quantity": 1}
    async with http.post(f"{url}/peers/0/v1/orders", json=order) as bought:
        index = bought.headers["Bazaar-Index"]
        assert (await bought.json())["outcome"] == "filled"
    headers = {"Bazaar-Index": index}
    async with http.get(f"{url}/peers/2/v1/trades", headers=headers) as read:
        assert len((await read.json())["trades"]) == 1
    headers = {"Bazaar-Index": f"another:{index.rpartition(':')[2]}"}
    async with http.get(f"{url}/peers/2/v1/trades", headers=headers) as read:
        assert read.status == 409


@pytest.mark.parametrize("command", [("ring",), ("drill", "crash")])
def test_what_names_no_ring_is_refused(command: tuple[str, ...]) -> None:
    done = bazaar(*command, "--url", "kube:a/b/c")

    assert done.returncode == 2
    assert "kube:a/b/c names no ring: write kube:NAME, or kube:NAMESPACE/NAME" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--name", "shop"), "no kubeconfig"),
        ((), "no kubeconfig"),
        (("--name", "shop", "--url", "kube:a/c"), "not by both"),
    ],
)
def test_drill_finds_it_too_and_a_name_goes_before_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    monkeypatch.setenv("BAZAAR_URL", "kube:a/b")

    done = bazaar("drill", "crash", "--no-report", *words)

    assert said in done.stderr, done
