"""A ring wherever it is: at an address, or in a cluster, as `kube:NAMESPACE/NAME`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bazaar_peer.command.client import CallError

T = TypeVar("T")
SCHEME = "kube:"
RING = re.compile(r"kube:(?:(?P<space>[a-z0-9][-a-z0-9]{0,62})/)?(?P<name>[a-z][-a-z0-9]{0,39})")
NO_RING = "{} names no ring: write kube:NAME, or kube:NAMESPACE/NAME"
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
    namespace, name = await named(url)
    from bazaar_peer.page.gateway import reached  # noqa: PLC0415 - takes a while
    from bazaar_peer.page.kubectl import ClusterError  # noqa: PLC0415

    try:
        async with reached(namespace, name) as address:
            return await do(address)
    except ClusterError as wrong:
        raise CallError(str(wrong)) from wrong


async def named(url: str) -> tuple[str, str]:
    """Return namespace and name of a ring in a cluster; without a namespace it is the present one.

    Raises:
        CallError: the url names none.
    """
    if (found := RING.fullmatch(url)) is None:
        raise CallError(NO_RING.format(url), MISUSED)
    from bazaar_peer.page.kubectl import namespace_of  # noqa: PLC0415 - takes a while

    return found["space"] or await namespace_of(), found["name"]
