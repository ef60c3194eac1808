"""Reading what another peer answers, within a bound."""

from __future__ import annotations

import aiohttp


async def body_within(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Read a whole body of at most so many bytes.

    Raises:
        ValueError: it is larger.
    """
    found = await response.content.read(most + 1)
    while len(found) <= most and not response.content.at_eof():
        found += await response.content.read(most + 1 - len(found))
    if len(found) > most:
        raise ValueError(f"an answer too large: more than {most} bytes")
    return found
