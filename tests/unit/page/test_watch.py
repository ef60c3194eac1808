"""`bazaar watch`: what it refuses, and by which name its page may be opened."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import aiohttp
import pytest
from typer.testing import CliRunner

from bazaar_peer.command.app import app
from bazaar_peer.page.story_file import StoryFile
from bazaar_peer.page.watch import make_app, serve
from tests.browser.stories import calm


@pytest.fixture
def story(tmp_path: Path) -> Path:
    path = tmp_path / "ring.story"
    path.write_text(calm(1.0).lines())
    return path


def test_a_file_that_is_no_story_ends_it_with_the_line_that_is_wrong(story: Path) -> None:
    with story.open("a") as file:
        file.write('{"kind": "beat"}\n')

    ended = CliRunner().invoke(app, ["watch", str(story), "--no-browser"])

    assert ended.exit_code == 1
    assert f"line {len(story.read_text().splitlines())}: Object missing" in ended.stderr


def test_a_port_that_is_taken_ends_it_by_name(story: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = CliRunner().invoke(app, ["watch", str(story), "--no-browser", "--port", port])

    assert ended.exit_code == 1
    assert f"port {port} cannot be served at" in ended.stderr


async def test_the_story_streams_to_its_end_and_to_this_machine_alone(story: Path) -> None:
    """A name of somebody else's that was bound to this address meanwhile is refused."""
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(make_app(StoryFile(story)), 0, told.set_result))
    url = await told
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{url}v1/story") as response:
            kinds = [line for line in (await response.text()).splitlines() if "event: " in line]
        async with http.get(url, headers={"Host": "evil.test"}) as response:
            refused = response.status
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)

    assert kinds == ["event: file", "event: header", "event: entries", "event: end"]
    assert refused == 403
