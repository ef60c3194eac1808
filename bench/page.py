"""What the live page costs a browser, and how late it is: python -m bench.page

A ring that is told, not run, streams to a real Chromium; counted are the frames that it draws, how
long the page's own work on each takes, and when the first paint was. Then a ring of six runs, its
trader is killed, and the page tells when it shows the next one. Needs Chromium on the PATH.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import signal
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

from bench.rig import Ring, kill, ring
from tests.browser.rings import FakeRing
from tests.browser.stories import T0, Teller, made

CHROMIUM = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
PAST_S, LOOK_S, TICK_S = 60.0, 10.0, 0.2
BACK_S = 5.0
"""Until a killed peer is back and follows."""
# Work is the time inside of the page's own frame callbacks; frames are the browser's.
COUNT = """
const own = window.requestAnimationFrame.bind(window);
window.work = []; window.frames_at = [];
window.requestAnimationFrame = (draw) => own((at) => {
  const began = performance.now();
  draw(at);
  window.work.push(performance.now() - began);
});
const tick = (at) => { window.frames_at.push(at); own(tick); };
own(tick);
"""
TELL = """() => ({
  work: window.work, frames: window.frames_at,
  paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
})"""


async def _stream(fake: FakeRing, teller: Teller) -> None:
    """Go on with the story, by the clock."""
    began = time.monotonic()
    while True:
        await asyncio.sleep(TICK_S)
        told = len(teller.entries)
        teller.until(T0 + PAST_S + time.monotonic() - began)
        fake.tell(sorted(teller.entries[told:], key=lambda entry: float(entry["at"])))


async def measure(peers: int, rate: float) -> dict[str, Any]:
    """Return the page's own counts of ten seconds."""
    teller = Teller(peers, rate)
    teller.until(T0 + PAST_S)
    story = made(teller)
    fake = FakeRing(story.header, story.entries)
    fake.facts = {"epoch": 7, "trader": peers - 1, "members": peers}
    url = await fake.start()
    streaming = asyncio.create_task(_stream(fake, teller))
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=CHROMIUM
            )
            page = await browser.new_page(viewport={"width": 1440, "height": 900})
            await page.add_init_script(COUNT)
            await page.goto(url)
            await asyncio.sleep(3.0)  # the past is taken in
            await page.evaluate("() => { window.work = []; window.frames_at = []; }")
            await asyncio.sleep(LOOK_S)
            told = await page.evaluate(TELL)
            streaming.cancel()
            await browser.close()
    finally:
        streaming.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await streaming
        await fake.close()
    assert isinstance(told, dict)
    return told


async def _shown(page: Page, trader: int, *, still: bool) -> None:
    """Wait until the page shows this trader, or another one."""
    until = time.monotonic() + 60.0
    while time.monotonic() < until:
        text = await page.inner_text("#n-trader")
        if text.isdigit() and (int(text) == trader) == still:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError("the page shows no such trader")


async def lateness(rig: Ring, kills: int) -> list[float]:
    """Return how long after each kill -9 the page shows the next trader, in seconds."""
    found = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM
        )
        page = await browser.new_page(viewport={"width": 1440, "height": 900})
        await rig.wait_settled(60.0)
        await page.goto(f"http://127.0.0.1:{rig.port}/")
        for _ in range(kills):
            trader = await rig.wait_settled(60.0)
            await _shown(page, int(trader["id"]), still=True)
            began = time.monotonic()
            kill(int(trader["pid"]), signal.SIGKILL)
            await _shown(page, int(trader["id"]), still=False)
            found.append(time.monotonic() - began)
            await asyncio.sleep(BACK_S)
        await browser.close()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=int, default=24)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--port", type=int, default=22_700)
    options = parser.parse_args()
    told = asyncio.run(measure(options.peers, options.rate))
    work, frames = sorted(told["work"]), told["frames"]
    span = (frames[-1] - frames[0]) / 1e3
    print(f"{options.peers} peers, {options.rate:g} orders a second, for {span:.1f} s")
    print(f"first contentful paint   {told['paint']:.0f} ms")
    print(f"frames a second          {(len(frames) - 1) / span:.1f}")
    p50, p99 = statistics.median(work), work[int(0.99 * (len(work) - 1))]
    print(f"work a frame             p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {work[-1]:.1f} ms")
    with (
        tempfile.TemporaryDirectory(prefix="bazaar-page-") as scratch,
        ring(6, options.port, "--rate", "40", data=Path(scratch) / "ring") as rig,
    ):
        late = sorted(asyncio.run(lateness(rig, options.kills)))
    seen = f"p50 {statistics.median(late):.2f} s, max {late[-1]:.2f} s of {len(late)}"
    print(f"kill -9 until it is seen {seen}")


if __name__ == "__main__":
    main()
