"""A real browser, and a watch over all that a page of ours must never do in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright

from bazaar_peer.page.story_file import StoryFile
from bazaar_peer.page.watch import make_app
from tests.browser.rings import FakeRing
from tests.browser.stories import Made

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
GONE = "net::ERR_"
"""How the browser notes that nobody answers at an address; a peer's death is no fault of a page."""
WATCHES = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""


def chromium() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    found = chromium()
    if found is None:
        why = "there is no chromium: install it, or name it with CHROMIUM"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield started
        await started.close()


class Watched:
    """A page, and what it did that it must not."""

    def __init__(self, page: Page, origins: list[str]) -> None:
        self.page, self.origins = page, origins
        self.faults: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("request", self._asked)

    def _said(self, message: Any) -> None:
        if message.type in {"error", "warning"} and GONE not in message.text:
            self.faults.append(f"{message.type}: {message.text}")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((*self.origins, "data:")):
            self.faults.append(f"asked {request.url}")

    async def all_faults(self) -> list[str]:
        """Return what was seen so far."""
        return self.faults + list(await self.page.evaluate("window.violations"))


Open = Callable[..., Awaitable[Watched]]


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser) -> AsyncIterator[Open]:
    """Open addresses; at the end no page may have done anything that it must not."""
    pages: list[Watched] = []

    async def opened(url: str, origins: list[str] | None = None, **options: Any) -> Watched:
        options = {"viewport": {"width": 1440, "height": 900}, **options}
        context = await browser.new_context(**options)
        page = await context.new_page()
        page.set_default_timeout(20_000)
        await page.add_init_script(WATCHES)
        watched = Watched(page, origins or [url])
        pages.append(watched)
        await page.goto(url)
        return watched

    yield opened
    for watched in pages:
        assert await watched.all_faults() == []
        await watched.page.context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def ring_of() -> AsyncIterator[Callable[..., Awaitable[FakeRing]]]:
    """Start rings that tell a story as if it happened now."""
    async with AsyncExitStack() as closing:

        async def start(made: Made, peers: int = 1) -> FakeRing:
            ring = FakeRing(made.header, made.entries)
            closing.push_async_callback(ring.close)
            await ring.start(peers)
            return ring

        yield start


@pytest_asyncio.fixture(loop_scope="session")
async def file_of(tmp_path: Path) -> AsyncIterator[Callable[[Made], Awaitable[str]]]:
    """Serve stories from files, as `bazaar watch` does; return the address."""
    async with AsyncExitStack() as closing:

        async def start(made: Made) -> str:
            path = tmp_path / "ring.story"
            path.write_text(made.lines())
            runner = web.AppRunner(make_app(StoryFile(path)), shutdown_timeout=0.1)
            closing.push_async_callback(runner.cleanup)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return f"http://127.0.0.1:{runner.addresses[0][1]}"

        yield start
