"""The README's pictures, made from a real ring: python -m bench.pictures

A ring of six trades; the live page is pictured, its trader killed, the election looked at in slow
motion; then a drill of twenty crashes draws its report. Needs Chromium on the PATH, and the extras
`dev` (Playwright) and `pictures` (matplotlib).
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Page, ViewportSize, async_playwright

from bench.rig import Ring, kill, ring

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
SIZE: ViewportSize = {"width": 1440, "height": 900}
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
TRADE_S, BACK_S, WATCH_S = 12.0, 8.0, 4.5
"""Of trading before the first picture; until a killed peer is back; into the slow election."""


async def page_pictures(rig: Ring, folder: Path) -> None:
    """Picture the page as it lives, and an election on it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM
        )
        for scheme in ("light", "dark"):
            context = await browser.new_context(viewport=SIZE, color_scheme=scheme)
            page = await context.new_page()
            await page.goto(f"http://127.0.0.1:{rig.port}/")
            await asyncio.sleep(TRADE_S)
            if scheme == "light":
                await page.screenshot(path=folder / "page.png")
            else:
                await _election(rig, page, folder / "election.png")
            await context.close()
        await browser.close()


async def _election(rig: Ring, page: Page, path: Path) -> None:
    trader = await rig.wait_settled(60.0)
    kill(int(trader["pid"]), signal.SIGKILL)
    await asyncio.sleep(BACK_S)
    await page.keyboard.press("Shift+ArrowLeft")
    await asyncio.sleep(WATCH_S)
    await page.screenshot(path=path)


def drill_pictures(rig: Ring, folder: Path, times: int) -> None:
    """Run the README's drill, and keep the figures of its report."""
    with tempfile.TemporaryDirectory(prefix="bazaar-drill-") as scratch:
        report = Path(scratch) / "drill"  # named in the pictures as it is typed
        words = [
            *("drill", "crash", "--times", times, "--report", "drill"),
            *("--url", f"http://127.0.0.1:{rig.port}"),
        ]
        done = subprocess.run(
            [sys.executable, "-m", "bazaar_peer", *map(str, words)],
            cwd=scratch,
            check=False,
            timeout=900,
        )
        if done.returncode:
            raise SystemExit("the drill failed: no pictures are made of it")
        for picture in report.glob("*.png"):
            shutil.copy(picture, folder / f"drill-{picture.name}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=PICTURES)
    parser.add_argument("--times", type=int, default=20, help="crashes of the drill")
    parser.add_argument("--port", type=int, default=22_600)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="bazaar-pictures-") as scratch,
        ring(6, args.port, "--rate", "40", data=Path(scratch) / "ring") as rig,
    ):
        asyncio.run(rig.wait_settled())
        asyncio.run(page_pictures(rig, args.out))
        drill_pictures(rig, args.out, args.times)
    for picture in sorted(args.out.glob("*.png")):
        print(picture)


if __name__ == "__main__":
    main()
