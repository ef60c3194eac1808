"""The client port by TLS: the same interface, the same limits, and the same rule after a stall."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bazaar_peer.runtime import client_port, driver, entrance
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
    core: Any = Core()
    running = Driver(core, nothing, nothing)
    app = make_app(running, core, ProcessSettings(me=0, peers=1, ring="stub", volume=""))
    app[CERTIFICATES] = folder.certificates(1)
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


async def test_https_comes_back_after_a_stall_though_its_port_was_taken_at_first(
    served: Served,
) -> None:
    served.port._stalled()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((HOST, served.port.https_port))
        other.listen()
        await asyncio.sleep(3 * client_port.AGAIN_S)
    await until(lambda: served.port._reopening is not None and served.port._reopening.done())

    assert await served.alive() == b"HTTP/1.1 200 OK\r\n"
    assert served.port._listening is not None
    assert served.port._listening.is_serving()


async def test_who_does_not_take_part_in_the_end_of_a_connection_is_not_waited_for(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit on connections would be full of them after a stall."""
    monkeypatch.setattr(entrance, "SHUTDOWN_S", 0.1)
    raw = await asyncio.to_thread(socket.create_connection, (HOST, served.port.https_port))
    silent = await asyncio.to_thread(served.trust.wrap_socket, raw, server_hostname=HOST)
    server = served.port._runner.server
    assert server is not None
    await until(lambda: len(server.connections) == 1)

    served.port._stalled()

    await until(lambda: not server.connections)
    silent.close()


async def test_connections_by_tls_count_like_others(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those whose handshake is not done, too."""
    monkeypatch.setattr(client_port, "CONNECTIONS_MAX", 2)
    found = await asyncio.gather(*(served.connect() for _ in range(10)))

    lines = []
    for reader, writer in found:
        writer.write(ALIVE)
        lines.append((await reader.readline()).split()[1])
        writer.close()

    assert 1 <= lines.count(b"200") <= 2
    assert set(lines) == {b"200", b"503"}
