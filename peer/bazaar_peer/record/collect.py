"""The records of a ring as they are now, collected once: for drills and `bazaar record`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from bazaar_peer.record.entries import BadRecordError
from bazaar_peer.record.merge import Merger, Told, in_order
from bazaar_peer.record.pages import Page, read_page
from bazaar_peer.record.story import header

PAGES_MAX = 2000

Ask: TypeAlias = Callable[[str], Awaitable[bytes]]
"""Gets a path from one peer; raises BadRecordError if there is no answer."""


class Story(NamedTuple):
    """A header, and the entries in order; `silent`: how many peers' parts are missing."""

    header: dict[str, Any]
    entries: list[Told]
    silent: int = 0


async def collect(asks: Sequence[Ask], source: str, seconds: int = 0) -> Story:
    """Return the story of the last seconds, old traffic thinned; 0: of all that is kept, whole.

    Raises:
        BadRecordError: no peer has a record.
    """
    records = await asyncio.gather(*(_all_of(ask, seconds) for ask in asks))
    pages = [page for record in records for page in record]
    if not pages:
        raise BadRecordError("no peer has a record: it is switched off, or none of them answers")
    first = pages[0]
    begins = header(first.ring, source, first.beat_ms, first.timeout_ms)
    return Story(begins, await asyncio.to_thread(_merged, pages), records.count([]))


def _merged(pages: list[Page]) -> list[Told]:
    merger = Merger()
    for page in pages:
        merger.add(page.peer, page.entries)
    merger.fit()
    return in_order(list(merger.emit()))


async def _all_of(ask: Ask, seconds: int) -> list[Page]:
    """Read a peer's record, as far as it answers."""
    found: list[Page] = []
    after = "0:0"
    age = f"&age={seconds}" if seconds else ""
    for _ in range(PAGES_MAX):
        try:
            page = read_page(await ask(f"/v1/record?after={after}{age}"))
        except BadRecordError:
            return found
        found.append(page)
        after = page.next
        if not page.more:
            break
    return found
