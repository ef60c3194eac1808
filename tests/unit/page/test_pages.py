"""The page's files: how they are served, what binds them, and what they are made of."""

from __future__ import annotations

import re
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from hatchling.builders.wheel import WheelBuilder

from bazaar_peer.command.top.story import SENTENCES
from bazaar_peer.page.pages import Pages, preflight, shared

ROOT = Path(__file__).parents[3]
STATIC = ROOT / "peer/bazaar_peer/page/static"
RING = ["http://127.0.0.1:8600", "http://127.0.0.1:8601"]
MODULES = sorted(STATIC.glob("*.js"))


@pytest.fixture
async def base() -> AsyncIterator[str]:
    async def told(_request: web.Request) -> web.Response:
        return web.json_response({"index": 1})

    app = web.Application()
    for method, path, handler in Pages(lambda: RING).routes():
        app.router.add_route(method, path, handler)
    app.router.add_get("/v1/ring", shared(told, lambda: RING))
    app.router.add_options("/v1/ring", preflight(lambda: RING))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_the_policy_lets_nothing_in_but_the_rings_own(base: str) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{base}/") as response:
        policy = response.headers["Content-Security-Policy"]

    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": f"'self' {RING[0]} {RING[1]}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/page/style.css", "text/css; charset=utf-8"),
        ("/page/main.js", "text/javascript; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ],
)
async def test_files_have_their_types_and_are_sent_once(base: str, path: str, kind: str) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.get(base + path) as first:
            assert first.headers["Content-Type"] == kind
            assert first.headers["X-Content-Type-Options"] == "nosniff"
            assert first.headers["Cache-Control"] == "no-cache"
            tag = first.headers["ETag"]
        async with http.get(base + path, headers={"If-None-Match": tag}) as again:
            assert again.status == 304
            assert await again.read() == b""
        async with http.get(base + path, headers={"If-None-Match": '"other"'}) as changed:
            assert changed.status == 200


@pytest.mark.parametrize("name", ["none.js", "..%2Fpages.py", "%2e%2e/pages.py", ".", "a/b.js"])
async def test_nothing_else_is_served(base: str, name: str) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{base}/page/{name}") as response:
        assert response.status == 404


@pytest.mark.parametrize(("origin", "allowed"), [(RING[1], True), ("http://evil.test", False)])
async def test_only_pages_of_the_rings_peers_may_read(
    base: str, origin: str, allowed: bool
) -> None:
    async with aiohttp.ClientSession() as http:
        for method in ("GET", "OPTIONS"):
            async with http.request(
                method, f"{base}/v1/ring", headers={"Origin": origin}
            ) as response:
                told = response.headers.get("Access-Control-Allow-Origin")
                assert told == (origin if allowed else None)


def test_there_are_no_outside_resources_and_no_inline_code() -> None:
    page = (STATIC / "index.html").read_text()
    for source in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert source.startswith("/page/"), source
    assert not re.search(r'<script(?![^>]*src=)|<style|\sstyle="|\son\w+="', page)
    assert "url(" not in (STATIC / "style.css").read_text()


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_modules_are_short_say_what_they_are_and_never_write_markup(module: Path) -> None:
    text = module.read_text()

    assert text.startswith("/**")
    assert len(text.splitlines()) <= 300
    assert [line for line in text.splitlines() if len(line) > 100] == []
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                 "http://", "https://", "localStorage"):  # fmt: skip
        assert word not in text, word


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_functions_are_short(module: Path) -> None:
    """A function's body is what is indented below the line that opens it."""
    lines = module.read_text().splitlines()
    opening = re.compile(r"^(\s*)(?:export |async |get |\w+\.)*(?:function )?[\w$]+\s*\(.*\{$")
    for begin, line in enumerate(lines):
        if found := opening.match(line):
            end = next(i for i in range(begin + 1, len(lines)) if lines[i].startswith(
                found[1] + "}"))  # fmt: skip
            assert end - begin + 1 <= 40, f"{module.name}:{begin + 1}"


def test_the_story_is_told_as_in_the_terminal() -> None:
    text = (STATIC / "story.js").read_text()
    block = text.partition("SENTENCES = {")[2].partition("\n};")[0]

    assert dict(re.findall(r'(\w+): "([^"]+)",', block)) == SENTENCES


def test_the_files_are_in_the_wheel(tmp_path: Path) -> None:
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = set(zipfile.ZipFile(built).namelist())

    assert {f"bazaar_peer/page/static/{path.name}" for path in STATIC.iterdir()} <= names
