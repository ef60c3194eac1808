"""GET /v1/backup: read like any linearizable read, one at a time, by who shows the token."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from bazaar_peer.command import backup
from bazaar_peer.command.client import CallError
from bazaar_peer.core.events import Forget, Read
from bazaar_peer.core.outcomes import Status
from bazaar_peer.runtime.checkpoint_file import encoded, read_checkpoint
from bazaar_peer.runtime.ends import Place
from bazaar_peer.runtime.files import Files
from tests.unit.api.conftest import Served
from tests.unit.api.test_api import until

PLACE = Place(1, 1, bytes(16))
PARTS = [bytes([n]) * 50_000 for n in range(9)]


async def test_it_is_read_behind_whatever_was_acknowledged(served: Served, tmp_path: Path) -> None:
    served.core.state.snapshot = lambda: iter(PARTS)
    file = tmp_path / "fair.backup"

    told = await backup.fetch(served.url, file, "")

    saved, parts = read_checkpoint(Files(), file)
    assert (saved.place, parts) == (PLACE, PARTS)
    assert (told["ring"], told["index"], told["bytes"]) == ("stub", 1, file.stat().st_size)
    reads = [event for event in served.core.events if isinstance(event, Read)]
    assert [read.linearizable for read in reads] == [True]


async def test_without_a_trader_there_is_none(served: Served, tmp_path: Path) -> None:
    served.core.status = Status.NEVER_SENT

    with pytest.raises(CallError, match="no trader") as refused:
        await backup.fetch(served.url, tmp_path / "fair.backup", "")

    assert refused.value.status == 503
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - two names


async def test_second_one_waits_for_nobody(served: Served, tmp_path: Path) -> None:
    served.core.silent = True
    first = asyncio.create_task(backup.fetch(served.url, tmp_path / "one", ""))
    await until(lambda: any(isinstance(event, Read) for event in served.core.events))
    with pytest.raises(CallError, match="another backup is read"):
        await backup.fetch(served.url, tmp_path / "two", "")
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await until(lambda: any(isinstance(event, Forget) for event in served.core.events))
    served.core.silent = False

    assert (await backup.fetch(served.url, tmp_path / "three", ""))["index"] == 1


async def test_peer_that_serves_takes_none(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "fair.backup"
    file.write_bytes(b"".join(encoded(PLACE, PARTS)))

    with pytest.raises(CallError, match="serves already") as refused:
        await backup.give(served.url, file, "")

    assert refused.value.status == 409


@pytest.mark.parametrize("cut", [1, 24, 100_000])
async def test_what_breaks_off_is_told_and_leaves_no_file(tmp_path: Path, cut: int) -> None:
    content = b"".join(encoded(PLACE, PARTS))[:-cut]

    async def half(_request: web.Request) -> web.Response:
        return web.Response(body=content)

    app = web.Application()
    app.router.add_get("/v1/backup", half)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        with pytest.raises(CallError, match="broke off, or is none"):
            await backup.fetch(f"http://{host}:{port}", tmp_path / "fair.backup", "")
    finally:
        await runner.cleanup()

    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - two names
