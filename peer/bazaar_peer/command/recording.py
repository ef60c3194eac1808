"""`bazaar record`: what a running ring went through, as a file to watch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import aiohttp
import typer

from bazaar_peer.command import client
from bazaar_peer.command.options import URL, Url, fail
from bazaar_peer.command.reach import at
from bazaar_peer.record.collect import Ask, Story, collect
from bazaar_peer.record.entries import BadRecordError
from bazaar_peer.runtime.answers import body_within

RECORD_EXAMPLES = (
    "Examples:  bazaar record ring.story  ·  bazaar record ring.story --last 60 "
    "--url http://127.0.0.1:8603"
)
ASK_S = 10.0
PAGE_MAX_BYTES = 8 << 20


def asks_of(http: aiohttp.ClientSession, urls: Sequence[str]) -> list[Ask]:
    """Return how each of these peers is asked."""

    def ask_of(url: str) -> Ask:
        return lambda path: _asked(http, url + path)

    return [ask_of(url.rstrip("/")) for url in urls]


def _either(direct: Ask, through: Ask, ordinal: int) -> Ask:
    """Ask a peer itself, and from its first silence on through another.

    Behind a forwarded port the names by which peers know each other lead nowhere.
    """
    silent = False

    async def ask(path: str) -> bytes:
        nonlocal silent
        if not silent:
            try:
                return await direct(path)
            except BadRecordError:
                silent = True
        return await through(f"{path}&peer={ordinal}")

    return ask


async def _asked(http: aiohttp.ClientSession, url: str) -> bytes:
    try:
        async with http.get(url) as answer:
            answer.raise_for_status()
            return await body_within(answer, PAGE_MAX_BYTES)
    except (aiohttp.ClientError, TimeoutError, ValueError) as silent:
        raise BadRecordError(f"no record from {url}: {silent!r}") from silent


async def collected(url: str, last: int) -> Story:
    """Ask any one peer who is in the ring, and all of them for their records, or it for theirs.

    Raises:
        CallError: it does not answer.
        BadRecordError: nobody has a record.
    """
    ring = await client.call("GET", url, "/v1/ring")
    timeout = aiohttp.ClientTimeout(total=ASK_S)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        peers = [(str(peer["url"]), int(peer["id"])) for peer in ring["peers"]]
        (through,) = asks_of(http, [url])
        direct = asks_of(http, [there for there, _ in peers])
        asks = [_either(ask, through, own) for ask, (_, own) in zip(direct, peers, strict=True)]
        return await collect(asks, "ring", last)


def record(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the story goes.")],
    url: Url = URL,
    last: Annotated[
        int, typer.Option(min=0, max=86_400, help="Seconds; 0: all that the peers have kept.")
    ] = 300,
) -> None:
    """Write what a ring has just gone through, step by step, for `bazaar watch FILE`."""
    from bazaar_peer.record.story import write_story  # noqa: PLC0415 - only this command needs it

    try:
        story = at(url, lambda address: collected(address, last))
        count = write_story(file, story.header, story.entries)
    except client.CallError as wrong:
        raise fail(str(wrong), wrong.exit_code) from wrong
    except BadRecordError as wrong:
        raise fail(str(wrong)) from wrong
    except OSError as wrong:
        raise fail(f"{file} cannot be written: {wrong.strerror}", 2) from wrong
    missing = f"; {story.silent} peers did not answer" if story.silent else ""
    typer.echo(f"{count:,} steps in {file}{missing}: bazaar watch {file}")
