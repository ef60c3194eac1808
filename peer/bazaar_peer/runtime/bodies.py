"""What clients may send: bodies, headers and query, each checked in one place.

The types are the documentation: openapi.py generates the schemas from them.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from typing import Annotated, TypeAlias, TypeVar

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, Struct, UnsetType

from bazaar_peer.core.admission import PEERS_MAX
from bazaar_peer.core.records import UNREADABLE
from bazaar_peer.core.types import Nanos
from bazaar_peer.market import commands as market
from bazaar_peer.market.commands import LotId, Name, Price, Quantity
from bazaar_peer.runtime.problems import Problem, from_validation, wrong
from bazaar_peer.runtime.wording import KEY, KEY_PATTERN

BODY_MAX_BYTES = 64 * 1024
BATCH_BODY_MAX_BYTES = 256 * 1024
BATCH_MAX = 256
BODY_S = 10.0
"""A body that is not whole by then is answered 408."""
INTEGER_MAX = 2**63 - 1
DEADLINE_MIN_S, DEADLINE_MAX_S, DEADLINE_DEFAULT_S = 0.1, 60.0, 10.0

Token = Annotated[str, Meta(pattern=KEY_PATTERN)]
Number = Annotated[int, Meta(ge=1, le=INTEGER_MAX)]
_token = re.compile(KEY_PATTERN).match
_name = re.compile(r"\A[a-z0-9][a-z0-9-]{0,31}\Z").match
T = TypeVar("T")


class Body(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    pass


class Order(Body, frozen=True):
    item: Name
    quantity: Quantity
    buyer: Name | UnsetType = UNSET


class Deposit(Body, frozen=True):
    item: Name
    quantity: Quantity
    price: Price
    seller: Name | UnsetType = UNSET


class Withdrawal(Body, frozen=True):
    lot: LotId
    quantity: Quantity


class NewPrice(Body, frozen=True):
    price: Price


class BatchOrder(Order, frozen=True, kw_only=True):
    key: Token


class Batch(Struct, frozen=True, forbid_unknown_fields=True):
    """Orders in causal order: each happened before the next."""

    orders: Annotated[list[BatchOrder], Meta(min_length=1, max_length=BATCH_MAX)]


class Wish(Body, frozen=True):
    """So many peers; the generation grows with every wish, so that a late one does no harm."""

    size: Annotated[int, Meta(ge=1, le=PEERS_MAX)]
    generation: Annotated[int, Meta(ge=1, le=INTEGER_MAX)]


class Admission(Body, frozen=True):
    """An empty volume that asks for a place in the ring."""

    ordinal: Annotated[int, Meta(ge=0, lt=PEERS_MAX)]
    volume: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._-]{1,64}\Z")]


class Formatting(Admission, frozen=True):
    """An empty volume that is to be a first one of its ring; `restores`: the backup's mark."""

    ring: Token
    restores: Annotated[str, Meta(pattern=r"\A([0-9a-f]{32})?\Z")] = ""


class Resignation(Body, frozen=True):
    successor: Annotated[int, Meta(ge=0, le=0xFFFF)] | UnsetType = UNSET


# In a session's socket; `floor` is the lowest number still waited for.


class NumberedOrder(Order, frozen=True, kw_only=True, tag="order", tag_field="command"):
    number: Number
    floor: Number = 1


class NumberedDeposit(Deposit, frozen=True, kw_only=True, tag="deposit", tag_field="command"):
    number: Number
    floor: Number = 1


class NumberedWithdrawal(
    Withdrawal, frozen=True, kw_only=True, tag="withdrawal", tag_field="command"
):
    number: Number
    floor: Number = 1


class NumberedPrice(NewPrice, frozen=True, kw_only=True, tag="price", tag_field="command"):
    lot: LotId
    number: Number
    floor: Number = 1


Numbered: TypeAlias = NumberedOrder | NumberedDeposit | NumberedWithdrawal | NumberedPrice
Frame: TypeAlias = Numbered | Annotated[list[Numbered], Meta(max_length=BATCH_MAX)]
"""A socket's frame: one command or several."""


class Caller(Struct, gc=False):
    """Who asks, under which name for the command, until when, after which index."""

    client: str
    name: str
    deadline: Nanos
    after_index: int
    key: str = ""
    session: int = 0
    number: int = 0
    floor: int = 0


def caller_of(headers: Mapping[str, str], ring: str) -> Caller:
    """Read the headers of a request to this ring.

    Raises:
        Problem: 400, one is not what it should be; 409, its index is another ring's.
    """
    get = headers.get
    client = token_in(get("Bazaar-Client", "anonymous"), "Bazaar-Client")
    key = get("Idempotency-Key")
    seconds = DEADLINE_DEFAULT_S
    if (text := get("Bazaar-Deadline")) is not None:
        seconds = _seconds(text)
    caller = Caller(
        client,
        client if _name(client) else "anonymous",
        time.monotonic_ns() + int(seconds * 1e9),
        0 if (index := get("Bazaar-Index")) is None else index_in(index, ring),
        "" if key is None else token_in(key, "Idempotency-Key"),
    )
    if "Bazaar-Session" in headers or "Bazaar-Number" in headers:
        caller.session = _integer(headers, "Bazaar-Session", 1)
        caller.number = _integer(headers, "Bazaar-Number", 1)
        caller.floor = _integer(headers, "Bazaar-Floor", 0) or 1
    return caller


def token_in(text: str, name: str) -> str:
    if not _token(text):
        raise wrong(name, KEY)
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not DEADLINE_MIN_S <= seconds <= DEADLINE_MAX_S:
        raise wrong(
            "Bazaar-Deadline", f"a number of seconds from {DEADLINE_MIN_S:g} to {DEADLINE_MAX_S:g}"
        )
    return seconds


def index_in(text: str, ring: str) -> int:
    """Read an index, alone or as `RING:INDEX`; another ring's is not waited for (R14)."""
    of, colon, index = text.rpartition(":")
    if colon and not _token(of):
        raise wrong("Bazaar-Index", "a whole number, or RING:INDEX as an answer's header has it")
    number = integer_in(index, "Bazaar-Index")
    if colon and of != ring:
        why = f"Bazaar-Index is of ring {of}, and this is ring {ring}: leave it out"
        raise Problem(409, why, field="Bazaar-Index")
    return number


def _integer(given: Mapping[str, str], name: str, least: int) -> int:
    """Read an integer; one that may be 0 may also be left out."""
    text = given.get(name)
    if text is not None:
        return integer_in(text, name, least)
    if least:
        why = f"{name} is missing: Bazaar-Session and Bazaar-Number go together"
        raise Problem(400, why, field=name)
    return 0


def integer_in(text: str, name: str, least: int = 0, most: int = INTEGER_MAX) -> int:
    """Read a decimal integer.

    Raises:
        Problem: 400, it is none, or out of bounds.
    """
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
    if not least <= number <= most:
        raise wrong(name, f"a whole number from {least} to {most}, in digits")
    return number


def query_integer(request: web.Request, name: str, default: int, most: int = INTEGER_MAX) -> int:
    text = request.query.get(name)
    return default if text is None else integer_in(text, name, 0, most)


async def body_of(
    request: web.Request, decoder: msgspec.json.Decoder[T], most: int = BODY_MAX_BYTES
) -> T:
    """Read and check a JSON body.

    Raises:
        Problem: 400, 408, 413 or 415.
    """
    kind = request.headers.get("Content-Type", "")
    if kind != "application/json" and kind.partition(";")[0].strip() != "application/json":
        raise Problem(415, "Content-Type should be application/json", field="Content-Type")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        why = "a body should not be compressed; leave Content-Encoding out"
        raise Problem(415, why, field="Content-Encoding")
    content = request.content
    data = content.read_nowait() if content.is_eof() else await _whole(request, most)
    if len(data) > most:
        raise Problem(413, f"a body should have at most {most} bytes here")
    return decoded(data, decoder)


async def _whole(request: web.Request, most: int) -> bytes:
    if (request.content_length or 0) > most:
        raise Problem(413, f"a body should have at most {most} bytes here")
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.content.iter_any():
                data += chunk
                if len(data) > most:
                    break
    except TimeoutError:
        raise Problem(408, f"the body was not whole after {BODY_S:g} s; send it again") from None
    return bytes(data)


def decoded(data: bytes | str, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode and validate; raises Problem 400."""
    try:
        return decoder.decode(data)
    except UNREADABLE as error:
        raise from_validation(error) from None


def command_of(body: Numbered | Order | Deposit | Withdrawal, name: str) -> bytes:
    """Return the market's command that a body asks for, by default in the caller's name."""
    if isinstance(body, Order):
        return market.encode_command(
            market.Order(body.item, body.quantity, name if body.buyer is UNSET else body.buyer)
        )
    if isinstance(body, Deposit):
        seller = name if body.seller is UNSET else body.seller
        return market.encode_command(market.Deposit(body.item, body.quantity, body.price, seller))
    if isinstance(body, Withdrawal):
        return market.encode_command(market.Withdraw(body.lot, body.quantity))
    return market.encode_command(market.Reprice(body.lot, body.price))
