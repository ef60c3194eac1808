"""One attempt at a time, each over a connection of its own: how a load meets what a peer is behind.

A new connection each time lets a Service choose a pod that is ready now. A host's name is looked up
in the background and used until the next answer, so that no attempt waits for a slow name server.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

RESOLVE_EVERY_S, RESOLVE_AGAIN_S = 5.0, 0.5
HEAD_MAX_BYTES = 16 * 1024
ADDRESSES_MAX = 16

OVERTIME, REFUSED, BROKEN, UNKNOWN_NAME = "timeout", "refused", "broken", "no_address"
UNTRUSTED = "untrusted"
"""What an attempt is counted as that has no answer, or comes to no trusted certificate."""

POST = (
    "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
    "Content-Type: application/json\r\nBazaar-Client: {client}\r\nIdempotency-Key: {key}\r\n"
    "Bazaar-Deadline: {deadline:g}\r\nContent-Length: {size}\r\n\r\n"
)


class UrlError(ValueError):
    """A URL that no load can be sent to; the text is for a person."""


@dataclass
class Target:
    """One URL, and the addresses that its host was last known to have."""

    url: str
    host: str
    port: int
    trust: ssl.SSLContext | None = None
    """By what https is spoken with it; None: plain HTTP."""
    addresses: list[str] = field(default_factory=list)
    turn: int = 0
    asked_at: float = 0.0
    asking: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, url: str) -> Target:
        """Read a URL.

        Raises:
            UrlError: it is not of the form http://HOST:PORT, or https.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            parts, port = urlsplit(""), 0
        known = parts.scheme in {"http", "https"} and parts.path in {"", "/"}
        if not known or not parts.hostname:
            raise UrlError(f"--url is http://HOST:PORT, not {url!r}")
        trust = ssl.create_default_context() if parts.scheme == "https" else None
        return cls(url, parts.hostname, port, trust)

    def address(self) -> str | None:
        """Return the next address at once, and have them looked up anew when they are old."""
        every = RESOLVE_EVERY_S if self.addresses else RESOLVE_AGAIN_S
        if self.asking is None and time.monotonic() - self.asked_at > every:
            self.asking = asyncio.get_running_loop().create_task(self.look_up())
        if not self.addresses:
            return None
        self.turn += 1
        return self.addresses[self.turn % len(self.addresses)]

    def doubt(self) -> None:
        """Nobody was there: what is known may be old."""
        self.asked_at = min(self.asked_at, time.monotonic() - RESOLVE_EVERY_S + RESOLVE_AGAIN_S)

    async def look_up(self) -> None:
        self.asked_at = time.monotonic()
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM
            )
        except OSError:
            return  # the old ones stay: a name server that is down moves no peer
        finally:
            self.asking = None
        self.addresses = list(dict.fromkeys(str(one[4][0]) for one in found))[:ADDRESSES_MAX]

    def close(self) -> None:
        if self.asking is not None:
            self.asking.cancel()


@dataclass(frozen=True)
class Call:
    """A keyed command: every attempt of it is the same, so that it takes effect once."""

    path: str
    client: str
    key: str
    body: bytes

    def request(self, host: str, deadline_s: float) -> bytes:
        head = POST.format(
            path=self.path,
            host=host,
            client=self.client,
            key=self.key,
            deadline=deadline_s,
            size=len(self.body),
        )
        return head.encode() + self.body


async def attempt(target: Target, call: Call, seconds: float) -> int | str:
    """Send a command once; return the status of its answer, or a word for why there is none."""
    address = target.address()
    if address is None:
        return UNKNOWN_NAME
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(seconds):
            trust = target.trust
            reader, writer = await asyncio.open_connection(
                *(address, target.port),
                limit=HEAD_MAX_BYTES,
                ssl=trust,
                server_hostname=target.host.rstrip(".") if trust else None,
            )
            host = f"[{target.host}]" if ":" in target.host else target.host
            writer.write(call.request(host, seconds))
            return await _status(reader)
    except TimeoutError:
        target.doubt()
        return OVERTIME
    except ConnectionRefusedError:
        target.doubt()
        return REFUSED
    except ssl.SSLCertVerificationError:
        return UNTRUSTED
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        target.doubt()
        return BROKEN
    finally:
        if writer is not None:
            writer.transport.abort()  # all was read: nobody waits for a farewell


async def _status(reader: asyncio.StreamReader) -> int:
    """Read a whole answer; half of one is none."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head[9:12])
    at = head.find(b"content-length: ")
    if at >= 0:
        await reader.readexactly(int(head[at + 16 : head.index(b"\r", at)]))
    return status
