"""A ring wherever it is: at an address, or in a cluster, as `kube:NAMESPACE/NAME`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bazaar_peer.command.client import CallError

T = TypeVar("T")
SCHEME = "kube:"
MISUSED = 400


def at(url: str, do: Callable[[str], Awaitable[T]]) -> T:
    """Do something with an address that leads to the ring, and return what came of it.

    Raises:
        CallError: there is no way to the ring, or what was done raised it.
    """
    return asyncio.run(_at(url, do))


async def _at(url: str, do: Callable[[str], Awaitable[T]]) -> T:
    if not url.startswith(SCHEME):
        return await do(url)
    from bazaar_peer.page.gateway import reached, ring_of  # noqa: PLC0415 - takes a while
    from bazaar_peer.page.kubectl import ClusterError  # noqa: PLC0415

    try:
        ring_of(url)
    except ValueError as wrong:
        raise CallError(str(wrong), MISUSED) from wrong
    try:
        async with reached(url) as address:
            return await do(address)
    except ClusterError as wrong:
        raise CallError(str(wrong)) from wrong


def ring_named(url: str) -> tuple[str, str]:
    """Return namespace and name of a ring in a cluster.

    Raises:
        CallError: the url names none.
    """
    from bazaar_peer.page.gateway import namespace_of, ring_of  # noqa: PLC0415 - takes a while

    try:
        found = ring_of(url)
    except ValueError as wrong:
        raise CallError(str(wrong), MISUSED) from wrong
    assert found is not None
    return found[0] or asyncio.run(namespace_of()), found[1]
