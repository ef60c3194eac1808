"""What the market is asked, and what it answers.

Commands are msgpack arrays that decode only if they are valid, but for their names: `is_name` says
which of those are, so that the market need not check one again that it knows. Results are JSON
objects.

Bounds: price × quantity of one order is at most 10^9 × 10^6 = 10^15 < 2^53, so that every amount
in a result is exact even for a reader that takes JSON numbers as doubles. Sums over many orders are
Python integers, which never lose anything; where they leave the process they are decimal strings.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

QUANTITY_MAX = 10**6
PRICE_MAX = 10**9
PARTS_MAX = 1000
"""Lots that one order is served from at most. It bounds an order's time and its result's size;
an order that would need more is answered `unavailable`."""
BASIS_POINTS = 10_000

COMMAND_MAX_BYTES = 256
NAME_PATTERN = r"\A[a-z0-9][a-z0-9-]{0,31}\Z"  # `$` would let "\n" pass
Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
is_name = re.compile(NAME_PATTERN).match
Quantity = Annotated[int, Meta(ge=1, le=QUANTITY_MAX)]
Price = Annotated[int, Meta(ge=1, le=PRICE_MAX)]
LotId = Annotated[int, Meta(ge=1, le=2**48 - 1)]
"""Index of the lot's deposit in the journal: at 10^6 entries a second it lasts for nine years."""


class _Command(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """gc=False: strings and integers only, the collector need not walk them."""


class Order(_Command, frozen=True, tag="o"):
    """Buy `quantity`, all or nothing, from the cheapest lots first, then the oldest."""

    item: str
    quantity: Quantity
    buyer: str


class Deposit(_Command, frozen=True, tag="d"):
    """Put goods on offer at a unit price, as a new lot."""

    item: str
    quantity: Quantity
    price: Price
    seller: str


class Withdraw(_Command, frozen=True, tag="w"):
    """Take unsold goods of a lot back."""

    lot: LotId
    quantity: Quantity


class Reprice(_Command, frozen=True, tag="r"):
    """Give a lot another unit price; it keeps its age."""

    lot: LotId
    price: Price


Command: TypeAlias = Order | Deposit | Withdraw | Reprice


class MarketSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The market's settings in the genesis entry."""

    commission_bp: Annotated[int, Meta(ge=0, le=BASIS_POINTS)] = 0
    """The trader's share of a sale in basis points, floored for each part."""


class Part(Struct, frozen=True, gc=False):
    """What one lot contributes to an order."""

    lot: int
    seller: str
    quantity: int
    price: int


class _Result(Struct, frozen=True, tag=str.lower, tag_field="outcome", gc=False):
    pass


class Filled(_Result, frozen=True):
    parts: list[Part]
    paid: int


class Deposited(_Result, frozen=True):
    lot: int


class Withdrawn(_Result, frozen=True):
    lot: int
    quantity: int


class Repriced(_Result, frozen=True):
    lot: int
    price: int


class Unavailable(_Result, frozen=True):
    """The goods are not there; an ordinary result, not an error."""


class Invalid(_Result, frozen=True):
    """The body was no command."""


Result: TypeAlias = Filled | Deposited | Withdrawn | Repriced | Unavailable | Invalid

encode_command: Callable[[Command], bytes] = msgspec.msgpack.Encoder().encode
decode_command: Callable[[bytes], Command] = msgspec.msgpack.Decoder(Command).decode
encode_settings: Callable[[MarketSettings], bytes] = msgspec.msgpack.Encoder().encode
decode_settings = msgspec.msgpack.Decoder(MarketSettings).decode
encode_result: Callable[[Result], bytes] = msgspec.json.Encoder().encode
decode_result: Callable[[bytes], Result] = msgspec.json.Decoder(Result).decode
