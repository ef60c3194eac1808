"""Facts of shelves and books at sizes where they split."""

from __future__ import annotations

from random import Random

import pytest

from bazaar_peer.market import lots as lots_module
from bazaar_peer.market.lots import Book, Lot, Lots


@pytest.mark.parametrize("seed", range(4))
def test_book_lists_by_price_then_age_through_splits_and_removals(seed: int) -> None:
    prng = Random(seed)
    book, model = Book(), dict[int, int]()

    for lot in range(1, 6 * lots_module.BLOCK_MAX):
        model[lot] = prng.randint(1, 500)
        book.add(model[lot], lot)
    order = prng.sample(sorted(model), len(model) - 5)
    for count, lot in enumerate(order):
        book.remove(model.pop(lot), lot)
        if count % 500 == 0:
            assert list(book) == sorted(model, key=lambda lot: (model[lot], lot))
    assert list(book) == sorted(model, key=lambda lot: (model[lot], lot))
    while model:
        cheapest = min(model, key=lambda lot: (model[lot], lot))
        assert book.cheapest() == cheapest
        book.remove(model.pop(cheapest), cheapest)
    assert list(book) == []


def test_book_is_usable_again_after_it_was_sold_out() -> None:
    book = Book()
    for lot in range(1, 3000):
        book.add(lot, lot)
    for lot in range(1, 3000):
        assert book.cheapest() == lot
        book.remove(lot, lot)

    book.add(7, 3000)

    assert list(book) == [3000]


def test_items_are_those_of_the_call_however_late_they_are_drawn() -> None:
    lots = Lots()
    for lot in range(1, 1000, 3):
        lots.put(lot, value(lot))
    before = list(lots.items())
    late = lots.items()

    lots.put(1, value(8))
    lots.drop(4)
    for lot in range(400, 500, 3):
        lots.drop(lot)
    lots.put(2000, value(9))

    assert list(late) == before
    assert list(lots.items()) != before


def test_hash_follows_the_lots_not_their_history() -> None:
    one, other = Lots(), Lots()
    for lot in range(1, 600):
        one.put(lot, value(lot))
        one.hash()
    for lot in range(300, 600):
        one.drop(lot)
    for lot in range(1, 300):
        other.put(lot, value(lot))

    assert one.hash() == other.hash()
    one.put(5, value(6))
    assert one.hash() != other.hash()
    one.put(5, value(5))
    assert one.hash() == other.hash()


def value(price: int) -> Lot:
    return "salt", "ann", price, 3
