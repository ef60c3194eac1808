"""What must hold of every market after every command: goods and money are conserved (S7).

`bazaar verify` audits a replayed journal with it, the simulator its peers' markets. `audit_sums`
costs a look at each item and account and may follow every command; `audit` looks at each lot too.
"""

from __future__ import annotations

from collections.abc import Iterator

from bazaar_peer.market.market import Market


def audit(market: Market) -> list[str]:
    """Sentences that say what is violated; none if all is well."""
    return [*audit_sums(market), *_audit_lots(market)]


def audit_sums(market: Market) -> list[str]:
    """`audit` by the running sums alone."""
    return [*_audit_tables(market), *_audit_goods(market), *_audit_money(market)]


def _audit_tables(market: Market) -> Iterator[str]:
    for table, sums in (*market.tables().items(), ("on offer", market.on_offer)):
        for name, amount in sums.items():
            if type(amount) is not int:
                yield f"{table} of {name} is {amount!r}, which is not an integer"
            elif amount < 0:
                yield f"{table} of {name} is {amount}, which is negative"


def _audit_goods(market: Market) -> Iterator[str]:
    for item in {**market.deposited, **market.sold, **market.withdrawn, **market.on_offer}:
        came = market.deposited.get(item, 0)
        sold, withdrawn = market.sold.get(item, 0), market.withdrawn.get(item, 0)
        left = market.on_offer.get(item, 0)
        if came != sold + withdrawn + left:
            yield (
                f"{item}: {came} deposited, but {sold} sold + {withdrawn} withdrawn"
                f" + {left} on offer = {sold + withdrawn + left}"
            )


def _audit_money(market: Market) -> Iterator[str]:
    paid, earned = sum(market.paid.values()), sum(market.earned.values())
    commission = sum(market.commission.values())
    if paid != earned + commission:
        yield (
            f"money: {paid} paid, but {earned} earned + {commission} commission"
            f" = {earned + commission}"
        )


def _audit_lots(market: Market) -> Iterator[str]:
    on_offer: dict[str, int] = {}
    shown: dict[str, list[tuple[int, int]]] = {}
    for lot, (item, seller, price, quantity) in market.lots.items():
        if quantity < 1 or price < 1:
            yield f"lot {lot}: {quantity} {item} of {seller} at {price}"
        on_offer[item] = on_offer.get(item, 0) + quantity
        shown.setdefault(item, []).append((price, lot))
    for item in {**on_offer, **market.on_offer}:
        counted, left = market.on_offer.get(item, 0), on_offer.get(item, 0)
        if counted != left:
            yield f"{item}: {counted} on offer by the count, {left} by the lots"
    for item in {**shown, **market.books}:
        inside = [lot for _, lot in sorted(shown.get(item, []))]
        if list(market.books.get(item, ())) != inside:
            yield f"{item}: the book does not list the lots by price and age"
