"""Who only pretends to come keeps nobody else out, and not for long."""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from bazaar_peer.runtime import entrance
from bazaar_peer.runtime.entrance import Entrance
from bench.pods import Folder

HOST = "127.0.0.1"


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        out = cast(asyncio.Transport, transport)
        out.write(b"in")
        out.close()


class Place:
    """An entrance with a certificate of 127.0.0.1, and whom it refused."""

    def __init__(self, folder: Folder) -> None:
        self.trust = ssl.create_default_context(cadata=folder.ca.certificate)
        self.context = folder.certificates(1).for_clients
        self.refused: list[str] = []
        self.entrance = Entrance(
            Echo, lambda: self.context, coming_max=2, refused=self.refused.append
        )
        self.port = 0

    async def come(self) -> bytes:
        reader, writer = await asyncio.open_connection(HOST, self.port, ssl=self.trust)
        found = await reader.read()
        writer.close()
        return found

    @asynccontextmanager
    async def pretending(self) -> AsyncIterator[asyncio.StreamReader]:
        """Connect and say nothing."""
        reader, writer = await asyncio.open_connection(HOST, self.port)
        try:
            yield reader
        finally:
            writer.close()

    async def until_refused(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.refused) < count:  # noqa: ASYNC110 - it is a list
                await asyncio.sleep(0.01)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    found = Place(Folder(tmp_path / "certificates", "127.0.0"))
    found.port = await found.entrance.open(HOST, 0)
    yield found
    found.entrance.close()


async def test_who_comes_by_tls_gets_in(place: Place) -> None:
    assert await place.come() == b"in"
    assert place.refused == []


async def test_who_says_nothing_is_sent_away(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "HANDSHAKE_S", 0.1)
    async with place.pretending() as reader:
        assert await asyncio.wait_for(reader.read(), 10) == b""
    await place.until_refused(1)

    assert "TimeoutError" in place.refused[0]
    assert await place.come() == b"in"


async def test_no_more_come_at_once_than_may(place: Place) -> None:
    async with place.pretending(), place.pretending():
        await asyncio.sleep(0.1)
        async with place.pretending() as third:
            assert await asyncio.wait_for(third.read(), 10) == b""
        assert place.refused == ["too many come at once"]
    await place.until_refused(3)

    assert await place.come() == b"in"


async def test_who_speaks_otherwise_does_not_get_in(place: Place) -> None:
    reader, writer = await asyncio.open_connection(HOST, place.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    found = await asyncio.wait_for(reader.read(), 10)
    writer.close()

    assert b"in" not in found
    await place.until_refused(1)


async def test_nobody_gets_in_before_there_is_a_certificate(place: Place) -> None:
    context, place.context = place.context, None
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await place.come()

    place.context = context
    assert await place.come() == b"in"


async def test_entrance_that_was_closed_opens_again(place: Place) -> None:
    """As the client port does after a stall; whoever was coming is let go."""
    async with place.pretending() as reader:
        await asyncio.sleep(0.1)
        place.entrance.close()
        assert await asyncio.wait_for(reader.read(), 10) == b""
    with pytest.raises(ConnectionError):
        await place.come()

    assert await place.entrance.open(HOST, place.port) == place.port
    assert await place.come() == b"in"


async def test_entrance_that_cannot_be_opened_leaves_nothing_open(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the process has as many files open as it may; it is tried again and again."""

    def full(_descriptor: int) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    place.entrance.close()
    await asyncio.sleep(0.1)
    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as broken:
        broken.setattr(os, "dup", full)
        for _ in range(10):
            with pytest.raises(OSError, match="too many"):
                await place.entrance.open(HOST, place.port)
    await asyncio.sleep(0.1)

    assert len(os.listdir("/proc/self/fd")) <= before
    assert await place.entrance.open(HOST, place.port) == place.port
    assert await place.come() == b"in"
