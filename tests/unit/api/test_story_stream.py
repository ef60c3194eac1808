"""Who asks for a story and does not read it holds no place for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

import pytest
from aiohttp import web

from bazaar_peer.runtime import api_record


async def talk() -> AsyncGenerator[bytes, None]:
    """Tell more than any buffer takes."""
    while True:
        yield b"data: " + b"x" * (1 << 20) + b"\n\n"


async def test_a_reader_that_never_reads_gives_its_place_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api_record, "UNREAD_S", 0.05)
    over = asyncio.Event()

    async def story(request: web.Request) -> web.StreamResponse:
        try:
            return await api_record.stream(request, talk())
        finally:
            over.set()

    app = web.Application()
    app.router.add_get("/v1/story", story)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1], limit=1024)
    writer.write(b"GET /v1/story HTTP/1.1\r\nHost: localhost\r\n\r\n")

    await asyncio.wait_for(over.wait(), 20)
    with suppress(ConnectionResetError):
        while await reader.read(1 << 20):
            pass  # what was on its way; then the connection is over
    assert reader.at_eof() or reader.exception() is not None
    writer.close()
    await runner.cleanup()
