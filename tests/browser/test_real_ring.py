"""The live page of a real ring: real processes, a real kill -9, and the picture of it."""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from bazaar_peer.page.story_file import StoryFile
from bench.rig import Ring, kill
from tests.browser.conftest import Open
from tests.integration.ring.conftest import (
    StartRing,
    ask,
    folder,  # noqa: F401 - fixtures of rings
    start,  # noqa: F401
    trader_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG_MS = 40_000


async def agreed(page: Page, rig: Ring, peer: int) -> dict[str, Any]:
    """Return what a peer says of the ring, once the page says the same: numbers are the API's."""
    async with asyncio.timeout(LONG_MS / 1000):
        while True:
            told = (await asyncio.to_thread(ask, rig, peer, "GET /v1/ring")).body
            shown = [await page.inner_text(f"#n-{name}") for name in ("trader", "epoch")]
            if shown == [str(told["trader"]), str(told["epoch"])]:
                return told


async def reigning(rig: Ring, peer: int) -> None:
    """Wait until a peer is the trader: a browser that starts may cost it its post."""
    async with asyncio.timeout(LONG_MS / 1000):
        while (trader := await asyncio.to_thread(trader_of, rig))["id"] != peer:
            await asyncio.to_thread(ask, rig, trader["id"], "POST /v1/resign", {"successor": peer})
            await asyncio.sleep(0.5)


@pytest.mark.long
async def test_the_trader_that_served_the_page_is_killed_and_the_page_shows_it(
    start: StartRing,  # noqa: F811
    open_page: Open,
) -> None:
    rig = await asyncio.to_thread(start, 3, "--restart-after", "never")
    old = await asyncio.to_thread(trader_of, rig)
    urls = [f"http://127.0.0.1:{port}" for port in rig.ports]
    page = (await open_page(urls[old["id"]], urls)).page
    await reigning(rig, old["id"])
    await expect(page.locator("#n-trader")).to_have_text(str(old["id"]), timeout=LONG_MS)
    await expect(page.locator("#trades tr").first).to_contain_text("peer-", timeout=LONG_MS)

    kill(int(old["pid"]), signal.SIGKILL)

    new = page.locator("#n-trader")
    await expect(new).not_to_have_text(re.compile(f"{old['id']}|none"), timeout=LONG_MS)
    told = await agreed(page, rig, (old["id"] + 1) % 3)
    await expect(page.locator("#n-members")).to_have_text(str(len(told["peers"])))
    gone = page.locator(f'.peer[data-place="{old["id"]}"]')
    await expect(gone).to_have_attribute("data-kind", re.compile("unknown|dead"), timeout=LONG_MS)
    begun = page.locator("#story li", has_text=f"trades: epoch {told['epoch']} has begun")
    await expect(begun).to_contain_text("after the loss")

    await page.locator("#story li button").last.click()

    await expect(new).not_to_have_text(str(told["trader"]))


@pytest.mark.long
async def test_what_is_bought_on_the_page_is_bought(
    start: StartRing,  # noqa: F811
    open_page: Open,
    tmp_path: Path,
) -> None:
    """The page's numbers are the API's; what was recorded can be watched again."""
    story = tmp_path / "ring.story"
    rig = await asyncio.to_thread(start, 3, "--no-agents", "--record", str(story))
    urls = [f"http://127.0.0.1:{port}" for port in rig.ports]
    body = {"item": "salt", "quantity": 10, "price": 7, "seller": "ali"}
    await asyncio.to_thread(ask, rig, 0, "POST /v1/deposits", body)
    page = (await open_page(urls[1], urls)).page
    await expect(page.locator("#stock tr").first).to_have_text("salt10at 7", timeout=LONG_MS)
    await page.fill("#buy-item", "salt")
    await page.fill("#buy-quantity", "3")
    await page.fill("#buy-buyer", "zoe")
    await page.click("#buy button")

    await expect(page.locator("#bought")).to_contain_text("bought 3 salt for 21")
    await expect(page.locator("#stock tr").first).to_have_text("salt7at 7", timeout=LONG_MS)
    await expect(page.locator("#trades tr").first).to_have_text("zoe: 3 salt21")
    trades = (await asyncio.to_thread(ask, rig, 2, "GET /v1/trades")).body["trades"]
    assert [(t["buyer"], t["quantity"], t["paid"]) for t in trades] == [("zoe", 3, 21)]
    await asyncio.to_thread(rig.stop)
    assert StoryFile(story).count > 10
