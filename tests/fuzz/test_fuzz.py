"""A real ring of one under random, malformed and oversized requests, on both of its ports.

A third of them schemathesis makes from our own OpenAPI document, valid and invalid; the rest are
valid requests with bytes cut, doubled, swapped or overwritten, bodies over every limit, and noise
on the client's and on the peer's port. Nothing may crash, no answer may be 5xx but 503 and 504,
and memory must stay flat: what a client sends is not kept.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from bazaar_peer.runtime.openapi import PATHS, document
from bench.rig import Ring, ring

PORT = 28_600
BY_HAND = ("/v1/session", "/v1/events", "/v1/resign", "/v1/members", "/v1/pause")
"""The last two would start 96 processes, or stand still: tests/unit/api sends them to a stub."""
ALLOWED_5XX = {503, 504}
LONG = 50_000
"""A shorter run is not warm before it ends."""
PARTS = 10
FLAT, PART_FLAT = 1.05, 0.0025
STEP_KIB = 16 * 1024
"""What the allocator may take in one step, beside growth of a twentieth in all."""
SAMPLES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", "/v1/orders", {"item": "salt", "quantity": 1, "buyer": "b"}),
    ("POST", "/v1/deposits", {"item": "salt", "quantity": 9, "price": 3, "seller": "s"}),
    ("POST", "/v1/withdrawals", {"lot": 9, "quantity": 1}),
    ("PATCH", "/v1/lots/9", {"price": 4}),
    ("POST", "/v1/orders/batch", {"orders": [{"item": "salt", "quantity": 1, "key": "k"}]}),
    ("POST", "/v1/sessions", {}),
    ("DELETE", "/v1/sessions/7", {}),
    ("GET", "/v1/stock?consistency=linearizable", {}),
    ("GET", "/v1/trades?after=0", {}),
    ("GET", "/v1/commands/k", {}),
    ("GET", "/v1/sessions/7/1", {}),
    ("GET", "/v1/ring", {}),
)
HEADERS = (
    "Idempotency-Key: k%d",
    "Bazaar-Client: c%d",
    "Bazaar-Deadline: 0.%d",
    "Bazaar-Index: %d",
    "Bazaar-Session: %d",
    "Bazaar-Number: %d",
    "Bazaar-Floor: %d",
    "Content-Type: text/plain; n=%d",
    "Expect: 100-continue-%d",
    "Transfer-Encoding: chunked%d",
)


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    data = tmp_path_factory.mktemp("fuzz") / "ring"
    with ring(1, PORT, "--no-agents", "--restart-after", "never", data=data) as rig:
        asyncio.run(rig.wait_settled())
        yield rig


def pid_of(peer: Ring) -> int:
    line = peer.own(0)
    assert line is not None, "the peer does not answer any more"
    return int(line["pid"])


def resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    assert found is not None
    return int(found[1])


def is_flat(seen: list[int], *, long: bool) -> bool:
    """Tell whether memory stands still: the allocator grows in steps, a leak with every part."""
    growth = median(b - a for a, b in pairwise(seen))
    whole = seen[-1] <= seen[0] * FLAT + STEP_KIB
    return whole and (not long or growth <= seen[0] * PART_FLAT)


@pytest.mark.parametrize("part_kib", [300, 5_000])
def test_leak_is_told_from_a_step_of_the_allocator(part_kib: int) -> None:
    leak = [100_000 + part_kib * part for part in range(PARTS + 1)]
    step = [100_000] * 4 + [107_000] * (PARTS - 3)

    assert not is_flat(leak, long=True)
    assert is_flat(step, long=True)


def test_requests_made_from_the_document_get_no_server_error(
    peer: Ring, request: pytest.FixtureRequest
) -> None:
    """Whatever schemathesis derives from the contract, valid or not, is answered below 500."""
    count = int(request.config.getoption("--requests")) // 10
    told = json.loads(document())
    for path in BY_HAND:
        told["paths"].pop(path, None)
    schema = schemathesis.openapi.from_dict(told)
    schema.config.update(base_url=f"http://127.0.0.1:{PORT}")
    operations = [
        (path, method.upper())
        for path, methods in PATHS.items()
        for method in methods
        if path not in BY_HAND
    ]
    before, statuses = pid_of(peer), Counter[int]()
    for path, method in operations:
        for mode in GenerationMode:
            sendable = PATHS[path][method.lower()]
            if not (sendable["parameters"] or "requestBody" in sendable):
                continue
            _send_cases(schema[path][method], mode, count // (2 * len(operations)), statuses)

    assert pid_of(peer) == before
    assert not [s for s in statuses if s >= 500 and s not in ALLOWED_5XX], statuses


def _send_cases(operation: Any, mode: GenerationMode, count: int, statuses: Counter[int]) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=max(5, count),
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    def send(case: Any) -> None:
        case.headers = {**(case.headers or {}), "Bazaar-Deadline": "0.2"}
        statuses[case.call(timeout=20).status_code] += 1

    send()


class Noise:
    """Makes one request after the other, each wrong in another way."""

    def __init__(self, seed: int) -> None:
        self.prng = random.Random(seed)

    def request(self) -> bytes:
        prng = self.prng
        method, path, body = prng.choice(SAMPLES)
        text = self.body(json.dumps(body).encode())
        head = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(text)}"]
        if prng.random() < 0.8:
            head.append("Content-Type: application/json")
        for _ in range(prng.choice((0, 0, 1, 3))):
            head.append(prng.choice(HEADERS) % prng.choice((0, 1, 7, 2**31, 2**63, 10**30)))
        head.append("Bazaar-Deadline: 0.2")
        whole = "\r\n".join(head).encode() + b"\r\n\r\n" + text
        return self.mutated(whole) if prng.random() < 0.4 else whole

    def body(self, text: bytes) -> bytes:
        kind = self.prng.random()
        if kind < 0.3:
            return text
        if kind < 0.4:
            return b'{"item":"' + b"a" * self.prng.choice((70, 70_000, 300_000)) + b'"}'
        if kind < 0.5:
            return b"[" * self.prng.choice((10, 2_000)) + text
        if kind < 0.6:
            number = self.prng.choice((b"-1", b"1e999", b"9" * 400, b"0.5", b"null", b'"1"'))
            return re.sub(rb"\d+", lambda _: number, text)
        return self.mutated(text)

    def mutated(self, text: bytes) -> bytes:
        prng, out = self.prng, bytearray(text)
        for _ in range(prng.randint(1, 6)):
            at = prng.randrange(len(out) + 1)
            match prng.randrange(4):
                case 0:
                    del out[at : at + prng.randint(1, 9)]
                case 1:
                    out[at:at] = prng.randbytes(prng.randint(1, 9))
                case 2:
                    out[at:at] = out[: prng.randint(0, 40)]
                case _:
                    out[at : at + 1] = bytes([prng.randrange(256)])
        return bytes(out)


async def send_raw(port: int, data: bytes, wait_s: float) -> int:
    """Send bytes on a connection of their own; return the first answer's status, 0 without one.

    A request that is cut short gets no answer, since the peer waits for its rest: it is given up.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        async with asyncio.timeout(wait_s):
            head = await reader.readuntil(b"\r\n")
        return int(head[9:12]) if head.startswith(b"HTTP/1.1 ") else 0
    except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
        return 0
    finally:
        writer.transport.abort()


async def storm(seed: int, count: int, statuses: Counter[int]) -> None:
    """Send so many wrong requests, some on the peer's port, 32 at a time."""
    noise = Noise(seed)
    limit = asyncio.Semaphore(32)

    async def one() -> None:
        async with limit:
            if noise.prng.random() < 0.2:
                frame = noise.prng.randbytes(noise.prng.randint(1, 300))
                size = noise.prng.choice((b"", b"\0\0\0\x10", b"\0\0\x01\0", b"\xff\xff\xff\xff"))
                await send_raw(PORT + 1000, size + frame, 0.05)
            else:
                statuses[await send_raw(PORT, noise.request(), 0.4)] += 1

    for start in range(0, count, 1000):
        async with asyncio.TaskGroup() as group:
            for _ in range(min(1000, count - start)):
                group.create_task(one())


def test_malformed_and_oversized_requests_leave_a_peer_as_it_was(
    peer: Ring, request: pytest.FixtureRequest
) -> None:
    """No crash, no 5xx but 503 and 504, memory flat after a warm-up."""
    count = int(request.config.getoption("--requests")) * 9 // 10
    statuses: Counter[int] = Counter()
    before = pid_of(peer)
    asyncio.run(storm(1, count // 2, statuses))
    seen = [resident_kib(before)]

    for part in range(PARTS):
        asyncio.run(storm(2 + part, count // 2 // PARTS, statuses))
        seen.append(resident_kib(before))

    assert pid_of(peer) == before
    assert not [s for s in statuses if s >= 500 and s not in ALLOWED_5XX], statuses
    assert {200, 400, 404, 413, 415} <= set(statuses), statuses
    assert statuses[0] < count / 2, f"most requests got no answer: {statuses}"
    assert is_flat(seen, long=count >= LONG), seen
    answer = peer.post(0, "/v1/deposits", {"item": "figs", "quantity": 1, "price": 1}, "after")
    assert answer["outcome"] == "deposited"
