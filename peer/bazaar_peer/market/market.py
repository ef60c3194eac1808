"""The market: goods on deposit, orders, prices and accounts, as a pure function of the journal.

State: the settings, the lots, and running sums by name, each a table of integers:
items → deposited, sold, withdrawn; accounts → paid, earned, commission. What can be derived from it
(books by price, goods on offer) is not part of a snapshot. `audit.py` says what must hold (S7).

A snapshot is canonical without sorting: lots stand in the order of their numbers, table rows in the
order of first use, and a restored market fills its tables in that same order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from typing import TypeAlias

import msgspec
from msgspec import Struct

from bazaar_peer.core.machine import Context, Machine
from bazaar_peer.market.commands import (
    BASIS_POINTS,
    COMMAND_MAX_BYTES,
    PARTS_MAX,
    Deposit,
    Deposited,
    Filled,
    Invalid,
    MarketSettings,
    Order,
    Part,
    Reprice,
    Repriced,
    Unavailable,
    Withdraw,
    Withdrawn,
    decode_command,
    decode_settings,
    encode_result,
    is_name,
)
from bazaar_peer.market.lots import Book, Lot, Lots

RECENT_MAX = 1000
"""Few enough to stay in a cache: with 10,000 each peer spent a tenth more on a trade."""
ROWS_MAX = 512
"""Rows of a snapshot's part: at most 86 bytes each, so a part stays below 64 KiB."""

UNAVAILABLE = encode_result(Unavailable())
INVALID = encode_result(Invalid())


class Trade(Struct, frozen=True, gc=False):
    """A filled order as `GET /v1/trades` shows it; `result` is the JSON its buyer was answered."""

    index: int
    buyer: str
    item: str
    quantity: int
    paid: int
    result: bytes


class SettingsPart(Struct, array_like=True, tag="s"):
    settings: MarketSettings


class TablePart(Struct, array_like=True, tag="t"):
    name: str
    rows: list[tuple[str, str]]
    """Sums as decimal strings: money may outgrow the 64 bits of a msgpack integer."""


class LotsPart(Struct, array_like=True, tag="l"):
    rows: list[tuple[int, Lot]]


SnapshotPart: TypeAlias = SettingsPart | TablePart | LotsPart
_encode = msgspec.msgpack.Encoder().encode
_decode: msgspec.msgpack.Decoder[SnapshotPart] = msgspec.msgpack.Decoder(SnapshotPart)


class Market(Machine):
    """The trading post's state machine."""

    def __init__(self) -> None:
        self.settings = MarketSettings()
        self.lots = Lots()
        self.deposited: dict[str, int] = {}
        self.sold: dict[str, int] = {}
        self.withdrawn: dict[str, int] = {}
        self.paid: dict[str, int] = {}
        self.earned: dict[str, int] = {}
        self.commission: dict[str, int] = {}
        # Derived from the lots:
        self.books: dict[str, Book] = {}
        self.on_offer: dict[str, int] = {}
        # Of this process, not of the state:
        self.recent: deque[Trade] = deque(maxlen=RECENT_MAX)
        self.trades, self.counts_after = 0, 0
        """Filled orders, of entries behind an index: a start executes again what is counted."""

    def configure(self, settings: bytes) -> None:
        """Take `MarketSettings`; empty: the defaults.

        Raises:
            msgspec.ValidationError: The genesis entry holds something else; nothing can start.
        """
        self.settings = decode_settings(settings) if settings else MarketSettings()

    def apply(self, body: bytes, context: Context) -> bytes:
        if len(body) > COMMAND_MAX_BYTES:  # none is so long, and nesting must not depend on depth
            return INVALID
        try:
            command = decode_command(body)
        except ValueError:  # whatever msgspec finds wrong, bad UTF-8 included
            return INVALID
        if isinstance(command, Order):  # nearly always
            return self._order(command, context)
        match command:
            case Deposit():
                return self._deposit(command, context.index)
            case Withdraw():
                return self._withdraw(command)
            case Reprice():
                return self._reprice(command)

    def _order(self, order: Order, context: Context) -> bytes:
        item, quantity, buyer = order.item, order.quantity, order.buyer
        if not (
            (item in self.on_offer or is_name(item)) and (buyer in self.paid or is_name(buyer))
        ):
            return INVALID
        if self.on_offer.get(item, 0) < quantity:
            return UNAVAILABLE
        chosen = self._choose(item, quantity)
        if not chosen:
            return UNAVAILABLE
        parts, paid = [], 0
        for lot, value, taken in chosen:
            self._take(lot, value, taken)
            part = Part(lot, value[1], taken, value[2])
            paid += self._credit(part, context.trader)
            parts.append(part)
        self.sold[item] = self.sold.get(item, 0) + quantity
        self.paid[buyer] = self.paid.get(buyer, 0) + paid
        self.trades += context.index > self.counts_after
        result = encode_result(Filled(parts, paid))
        self.recent.append(Trade(context.index, buyer, item, quantity, paid, result))
        return result

    def _choose(self, item: str, quantity: int) -> list[tuple[int, Lot, int]]:
        """What to take from the cheapest lots, then the oldest; nothing if they are too many."""
        book, get = self.books[item], self.lots.get
        lot = book.cheapest()
        value = get(lot)
        assert value is not None
        if value[3] >= quantity:  # the usual case
            return [(lot, value, quantity)]
        chosen = []
        for lot in islice(book, PARTS_MAX):
            value = get(lot)
            assert value is not None
            taken = min(value[3], quantity)
            chosen.append((lot, value, taken))
            quantity -= taken
            if not quantity:
                return chosen
        return []

    def _credit(self, part: Part, trader: int) -> int:
        due = part.price * part.quantity
        share = due * self.settings.commission_bp // BASIS_POINTS
        self.earned[part.seller] = self.earned.get(part.seller, 0) + due - share
        if share:
            account = f"peer-{trader}"
            self.commission[account] = self.commission.get(account, 0) + share
        return due

    def _take(self, lot: int, value: Lot, quantity: int) -> None:
        """Take goods off a lot that has them; a lot without goods is gone."""
        item, seller, price, left = value
        assert left >= quantity
        if left > quantity:
            self.lots.put(lot, (item, seller, price, left - quantity))
        else:
            self.lots.drop(lot)
            self.books[item].remove(price, lot)
        self.on_offer[item] -= quantity

    def _deposit(self, deposit: Deposit, index: int) -> bytes:
        item, quantity = deposit.item, deposit.quantity
        if not (is_name(item) and is_name(deposit.seller)):
            return INVALID
        self._offer(index, (item, deposit.seller, deposit.price, quantity))
        self.deposited[item] = self.deposited.get(item, 0) + quantity
        return encode_result(Deposited(index))

    def _offer(self, lot: int, value: Lot) -> None:
        item, _, price, quantity = value
        self.lots.put(lot, value)
        book = self.books.get(item)
        if book is None:
            book = self.books[item] = Book()
        book.add(price, lot)
        self.on_offer[item] = self.on_offer.get(item, 0) + quantity

    def _withdraw(self, withdraw: Withdraw) -> bytes:
        lot, quantity = withdraw.lot, withdraw.quantity
        found = self.lots.get(lot)
        if found is None or found[3] < quantity:
            return UNAVAILABLE
        self._take(lot, found, quantity)
        self.withdrawn[found[0]] = self.withdrawn.get(found[0], 0) + quantity
        return encode_result(Withdrawn(lot, quantity))

    def _reprice(self, reprice: Reprice) -> bytes:
        lot, price = reprice.lot, reprice.price
        found = self.lots.get(lot)
        if found is None:
            return UNAVAILABLE
        item, seller, old, left = found
        self.lots.put(lot, (item, seller, price, left))
        book = self.books[item]
        book.remove(old, lot)
        book.add(price, lot)
        return encode_result(Repriced(lot, price))

    def tables(self) -> dict[str, dict[str, int]]:
        """The running sums by their names, in the order of the snapshot."""
        return {
            "deposited": self.deposited,
            "sold": self.sold,
            "withdrawn": self.withdrawn,
            "paid": self.paid,
            "earned": self.earned,
            "commission": self.commission,
        }

    def hash(self) -> int:
        """Hash the whole state; of the lots, only what has changed since the last call."""
        digest = blake2b(digest_size=8)
        for part in _parts(self.settings, self.tables(), ()):
            digest.update(part)
        return (int.from_bytes(digest.digest(), "big") + self.lots.hash()) % 2**64

    def snapshot(self) -> Iterator[bytes]:
        """Return the state of this call in parts; only tables of immutable values are copied."""
        tables = {name: table.copy() for name, table in self.tables().items()}
        return _parts(self.settings, tables, self.lots.items())

    def restore(self, part: bytes) -> None:
        match _decode.decode(part):
            case SettingsPart(settings=settings):
                self.settings = settings
            case TablePart(name=name, rows=rows):
                self.tables()[name].update((key, int(amount)) for key, amount in rows)
            case LotsPart(rows=lots):
                for lot, value in lots:
                    self._offer(lot, value)


def _parts(
    settings: MarketSettings, tables: dict[str, dict[str, int]], lots: Iterable[tuple[int, Lot]]
) -> Iterator[bytes]:
    yield _encode(SettingsPart(settings))
    for name, table in tables.items():
        sums = ((key, str(amount)) for key, amount in table.items())
        while rows := list(islice(sums, ROWS_MAX)):
            yield _encode(TablePart(name, rows))
    lots = iter(lots)
    while offered := list(islice(lots, ROWS_MAX)):
        yield _encode(LotsPart(offered))
