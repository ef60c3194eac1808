"""The client port by TLS: the same interface, the same limits, and the same rule after a stall."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bazaar_peer.runtime import client_port, driver
from bazaar_peer.runtime.certificates import Certificates
from bazaar_peer.runtime.client_port import ClientPort, make_app
from bazaar_peer.runtime.credential import CERTIFICATES
from bazaar_peer.runtime.driver import Driver
from bazaar_peer.runtime.settings import ProcessSettings
from bazaar_peer.runtime.stub import Nothing
from bench.pods import Folder

from .conftest import Core
from .test_api import ORDER, until

HOST = "127.0.0.1"
ALIVE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass
class Served:
    core: Core
    driver: Driver
    port: ClientPort
    trust: ssl.SSLContext

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(HOST, self.port.https_port, ssl=self.trust)

    async def alive(self) -> bytes:
        """Ask by a connection of its own; return the status line."""
        reader, writer = await self.connect()
        writer.write(ALIVE)
        line = await reader.readline()
        writer.close()
        return line


@pytest.fixture
async def served(tmp_path: Path, unused_tcp_port: int) -> AsyncIterator[Served]:
    folder, nothing = Folder(tmp_path / "certificates", "127.0.0"), Nothing()
    files = Certificates(folder.path, folder.path / "key-1", 1, lambda _: HOST)
    assert files.look(), files.why
    core: Any = Core()
    running = Driver(core, nothing, nothing)
    app = make_app(running, core, ProcessSettings(me=0, peers=1, ring="stub", volume=""))
    app[CERTIFICATES] = files
    port = ClientPort(app, running, HOST, 0, unused_tcp_port)
    await port.start()
    running.start()
    yield Served(core, running, port, ssl.create_default_context(cadata=folder.ca.certificate))
    await port.close()
    await running.close()


async def test_it_is_served_by_tls(served: Served) -> None:
    assert await served.alive() == b"HTTP/1.1 200 OK\r\n"


async def test_after_a_stall_connections_close_and_nothing_is_looked_up(served: Served) -> None:
    """R13 c."""
    served.core.silent = True
    reader, writer = await served.connect()
    writer.write(ALIVE)
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    served.driver._read_at -= driver.STALL + 1
    body = json.dumps(ORDER).encode()
    head = "POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    told = await reader.read()

    assert told.count(b"HTTP/1.1") == 0, "the rest of the first answer, and no second one"
    assert served.core.commands == []
    assert served.port.stalls == 1
    writer.close()
    await until(lambda: served.port._reopening is not None and served.port._reopening.done())
    assert await served.alive() == b"HTTP/1.1 200 OK\r\n"


async def test_who_is_in_the_middle_of_a_handshake_at_a_stall_does_not_get_in(
    served: Served,
) -> None:
    _, slow = await asyncio.open_connection(HOST, served.port.https_port)
    entrance = served.port._https
    assert entrance is not None
    await until(lambda: bool(entrance._coming))

    served.port._stalled()

    with pytest.raises((ssl.SSLError, ConnectionError)):
        await slow.start_tls(served.trust, server_hostname=HOST)
    slow.close()


async def test_connections_by_tls_count_like_others(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_port, "CONNECTIONS_MAX", 0)

    assert await served.alive() == b"HTTP/1.1 503 Service Unavailable\r\n"
