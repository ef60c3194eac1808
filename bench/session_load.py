"""Volume over pipelined sessions: WebSockets with many numbered orders under way on each.

    python -m bench.session_load --url http://127.0.0.1:8600 --under-way 256 --sockets 8

The client speaks WebSocket itself (RFC 6455; masked with zeros, so that nothing is copied twice):
a client library would cost more than the server that is to be measured.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import struct
import time
from typing import Any
from urllib.parse import urlsplit

import msgspec
import uvloop

from bench.load import WARM_UP, summary

HANDSHAKE = (
    "GET /v1/session HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
ORDER = b'{"command":"order","item":"salt","quantity":1,"buyer":"bench","number":%d,"floor":%d}'
FRAME_MAX = 256


class Answered(msgspec.Struct):
    """What is looked at of an answer."""

    number: int
    outcome: str = ""


decode = msgspec.json.Decoder(list[Answered]).decode


def masked(text: bytes) -> bytes:
    """Return a text frame from a client, masked with zeros."""
    if len(text) < 126:
        head = struct.pack(">BB", 0x81, 0x80 | len(text))
    elif len(text) < 65_536:
        head = struct.pack(">BBH", 0x81, 0xFE, len(text))
    else:
        head = struct.pack(">BBQ", 0x81, 0xFF, len(text))
    return head + bytes(4) + text


async def frame(reader: asyncio.StreamReader) -> bytes:
    """Read one data frame, answering nothing else."""
    while True:
        first, second = await reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", await reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", await reader.readexactly(8))
        data = await reader.readexactly(size)
        if first & 0x0F in (1, 2):
            return data
        if first & 0x0F == 8:
            raise ConnectionError(f"the server closed the session: {data[2:]!r}")


class Load:
    """All sockets of one measurement: `command` again and again, for so long or so often each."""

    def __init__(self, seconds: float, command: bytes = ORDER, most: int = 1 << 60) -> None:
        self.command, self.most = command, most
        self.began = time.perf_counter()
        self.counted_from = self.began + WARM_UP * seconds
        self.until = self.began + seconds
        self.latencies: list[float] = []
        self.failed = 0

    async def socket(self, host: str, port: int, under_way: int) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(HANDSHAKE.format(host=host).encode())
        await reader.readuntil(b"\r\n\r\n")
        await frame(reader)
        sent: dict[int, float] = {}
        number = 0
        want = under_way
        while time.perf_counter() < self.until and (number < self.most or sent):
            want = min(want, self.most - number)
            while want:
                count = min(want, FRAME_MAX)
                now = time.perf_counter()
                numbers = range(number + 1, number + count + 1)
                sent.update(dict.fromkeys(numbers, now))
                floor = next(iter(sent))
                orders = b",".join(self.command % (n, floor) for n in numbers)
                writer.write(masked(b"[" + orders + b"]"))
                number += count
                want -= count
            want = self._take(await frame(reader), sent)
        writer.close()

    def _take(self, data: bytes, sent: dict[int, float]) -> int:
        now, answers = time.perf_counter(), decode(data)
        for answer in answers:
            began = sent.pop(answer.number)
            if not answer.outcome:
                self.failed += 1
            elif began >= self.counted_from and now <= self.until:
                self.latencies.append(now - began)
        return len(answers)


async def measure(args: argparse.Namespace) -> dict[str, Any]:
    parts = urlsplit(args.url)
    assert parts.hostname is not None
    assert parts.port is not None
    load = Load(args.seconds)
    each = args.under_way // args.sockets
    await asyncio.gather(
        *(load.socket(parts.hostname, parts.port, each) for _ in range(args.sockets))
    )
    found: dict[str, Any] = dict(summary(load.latencies, load.until - load.counted_from, 1))
    return {**found, "failed": load.failed, "lost_connections": 0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--under-way", type=int, default=256, help="orders in all sockets")
    parser.add_argument("--sockets", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=4.0)
    args = parser.parse_args()
    gc.freeze()
    print(json.dumps(uvloop.run(measure(args))))


if __name__ == "__main__":
    main()
