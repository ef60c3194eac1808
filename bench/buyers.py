"""Buyers that never give up: one key an order, another peer after a failure, the same key again.

They keep what was acknowledged and when, so that `bazaar verify --acknowledged` can prove that
nothing of it is missing or doubled, and gaps can be measured. Latency counts from the moment at
which an order was due, through every retry.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

HEAD = (
    "POST /v1/orders HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    "Bazaar-Client: {client}\r\nIdempotency-Key: {key}\r\nBazaar-Deadline: {deadline}\r\n"
    "Content-Length: {size}\r\n\r\n"
)
ATTEMPT_S = 0.3
"""A buyer asks another peer when one has not answered for so long."""
DEADLINE_S = 10.0
BEGINS_S = 0.15


@dataclass
class Done:
    """One order's end."""

    key: str
    due: float
    done: float
    status: int
    attempts: int


@dataclass
class Buyers:
    """A number of buyers, each with one order under way at most."""

    ports: list[int]
    count: int
    rate: float
    name: str = "drill"
    bodies: tuple[bytes, ...] = (b'{"item":"salt","quantity":1}',)
    orders: list[Done] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    stopped: bool = False

    async def run(self) -> None:
        """Buy until `stopped`; every order that began ends first."""
        async with asyncio.TaskGroup() as group:
            for number in range(self.count):
                group.create_task(self._buy(number))

    async def _buy(self, number: int) -> None:
        connection = Connection(self.ports, number)
        every = self.count / self.rate
        due = time.monotonic() + every * number / self.count
        sequence = 0
        while not self.stopped:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            key = f"{self.name}-{number}-{sequence}"
            body = self.bodies[sequence % len(self.bodies)]
            status, attempts = await self._carry(connection, key, body)
            self.orders.append(Done(key, due, time.monotonic(), status, attempts))
            if status == 200:
                self.acknowledged.append(key)
            sequence += 1
            due += every
        connection.close()

    async def _carry(self, connection: Connection, key: str, body: bytes) -> tuple[int, int]:
        """Send one order until it is answered with a result or its deadline is over."""
        until, attempts, status = time.monotonic() + DEADLINE_S, 0, 0
        while time.monotonic() < until:
            attempts += 1
            head = HEAD.format(
                host="127.0.0.1", client=self.name, key=key, deadline=2, size=len(body)
            )
            try:
                async with asyncio.timeout(ATTEMPT_S if attempts < 4 else 2.5):
                    status = await connection.post(head.encode() + body)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                connection.next_peer()
                await asyncio.sleep(0)
                continue
            if status == 200 or 400 <= status < 429:
                return status, attempts
            connection.next_peer()
            await asyncio.sleep(0.01)
        return status, attempts

    def write_acknowledged(self, path: Path) -> None:
        path.write_text("".join(f"{self.name} {key}\n" for key in self.acknowledged))

    def gap_around(self, moment: float, end: float) -> float:
        """Return the longest time without any success that a fault began, in seconds.

        What begins later than `BEGINS_S` behind it is another matter: a process that is started
        again takes half a second of one of two cores for its imports.
        """
        times = sorted(
            order.done
            for order in self.orders
            if order.status == 200 and moment - 0.05 <= order.done <= end
        )
        return max(
            (b - a for a, b in pairwise(times) if a <= moment + BEGINS_S), default=end - moment
        )


class Connection:
    """One keep-alive connection that moves from peer to peer."""

    def __init__(self, ports: list[int], first: int) -> None:
        self._ports = ports
        self._at = first % len(ports)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def next_peer(self) -> None:
        self.close()
        self._at = (self._at + 1) % len(self._ports)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def post(self, data: bytes) -> int:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._ports[self._at])
        reader, writer = self._streams
        writer.write(data)
        head = await reader.readuntil(b"\r\n\r\n")
        at = head.lower().index(b"content-length: ")
        await reader.readexactly(int(head[at + 16 : head.index(b"\r\n", at)]))
        return int(head[9:12])
