"""`bazaar load`: an open loop of orders, for drills.

Orders are due at a rate, whatever became of earlier ones. Each has one key, and is attempted with
it, `ATTEMPT_S` at a time, until some answer takes it or `DEADLINE_S` has gone by since it was due:
then it has failed. What was acknowledged is listed, so that `bazaar verify` can prove that nothing
of it is missing or doubled; so is, on demand, what became of each order (orders.py). Memory is
bounded by the rate (orders under way) and the number of orders (four bytes each).
"""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bazaar_peer.command.attempts import REFUSED, Call, Target, UrlError, attempt
from bazaar_peer.command.orders import OK, REJECTED, UNKNOWN, Order
from bazaar_peer.command.tally import GAP_MS, Tally
from bazaar_peer.market.commands import QUANTITY_MAX

ATTEMPT_S, DEADLINE_S = 1.0, 10.0
PAUSE_S, PAUSE_MAX_S = 0.02, 0.25
"""Before the next attempt, doubled each time: peers that are gone are not stormed."""
RATE_MAX, ORDERS_MAX, URLS_MAX, BUYERS_MAX = 1000.0, 10_000_000, 64, 1000
PACE_S = 0.05
PROGRESS_S = 5.0
HOPELESS = frozenset({400, 404, 405, 413, 415, 422})
"""The same request will be answered the same for ever."""
PRICE = 1
ORDERS = "/v1/orders"


class LoadError(Exception):
    """A load that cannot be; the text says how to mend it."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is to be sent, where, how fast and for how long."""

    urls: list[str]
    rate: float
    seconds: float
    item: str = "salt"
    buyers: int = 1
    """So many take turns, each with a name and keys of its own."""
    gap_ms: float = GAP_MS
    acknowledged: str = ""
    """A file; `-` is standard output; empty: nowhere."""
    orders: str = ""
    """The same, for single orders."""
    progress_s: float = PROGRESS_S


class Load:
    """One run: `run` ends when its time is over, or soon after `stop`."""

    def __init__(
        self, options: Options, listed: IO[str] | None, orders: IO[str] | None = None
    ) -> None:
        self.options = options
        self.client = f"load-{secrets.token_hex(4)}"
        self.tally = Tally(gap_ms=options.gap_ms)
        self._targets = [Target.of(url) for url in options.urls]
        self._listed, self._orders = listed, orders
        self._stopped = asyncio.Event()
        self._turn = 0

    def stop(self) -> None:
        """Begin no more orders; those under way end well."""
        self._stopped.set()

    async def run(self) -> Tally:
        """Put goods on offer, then order them one by one."""
        await asyncio.gather(*(target.look_up() for target in self._targets))
        try:
            if await self._stock():
                self.tally.begun = True
                async with asyncio.TaskGroup() as group:
                    watching = group.create_task(self._watch())
                    async with asyncio.TaskGroup() as orders:
                        await self._pace(orders)
                    watching.cancel()
        finally:
            for target in self._targets:
                target.close()
        self.tally.end(time.monotonic())
        return self.tally

    async def _stock(self) -> bool:
        """Offer as much as will be ordered; False: nobody takes it, and so nothing was begun."""
        left, number = max(1, int(self.options.rate * self.options.seconds)), 0
        while left > 0:
            body = {
                "item": self.options.item,
                "quantity": min(left, QUANTITY_MAX),
                "price": PRICE,
                "seller": self.client,
            }
            call = Call("/v1/deposits", self.client, f"stock-{number}", json.dumps(body).encode())
            if not await self._carry(call, time.monotonic()):
                return False
            left, number = left - QUANTITY_MAX, number + 1
        return True

    def _buyers(self) -> list[tuple[str, bytes]]:
        """Return each buyer's name, and what it sends."""
        several, item = self.options.buyers > 1, self.options.item
        names = [
            f"{self.client}-{number}" if several else self.client
            for number in range(self.options.buyers)
        ]
        return [
            (name, json.dumps({"item": item, "quantity": 1, "buyer": name}).encode())
            for name in names
        ]

    async def _pace(self, orders: asyncio.TaskGroup) -> None:
        buyers = self._buyers()
        began, number = time.monotonic(), 0
        count = int(self.options.rate * self.options.seconds)
        while number < count and not self._stopped.is_set():
            now = time.monotonic()
            while number < count and (due := began + number / self.options.rate) <= now:
                self.tally.late_s = max(self.tally.late_s, now - due)
                client, body = buyers[number % len(buyers)]
                call = Call(ORDERS, client, f"order-{number}", body)
                orders.create_task(self._carry(call, due))
                number += 1
            # Never a whole pause late: an order is due at its own moment, not at a tick's.
            wait = began + number / self.options.rate - time.monotonic()
            await asyncio.sleep(min(max(wait, 0.0), PACE_S))

    async def _carry(self, call: Call, due: float) -> bool:
        """Attempt a command until it is taken, or has failed; tell which."""
        tally, attempts, pause = self.tally, 0, PAUSE_S
        tally.sent += 1
        self._turn += 1
        first, count, place = self._turn, len(self._targets), 0
        last: int | str = ""
        while (left := due + DEADLINE_S - time.monotonic()) > 0.1:  # no peer takes a shorter one
            place = (first + attempts) % count
            attempts += 1
            last = await attempt(self._targets[place], call, min(ATTEMPT_S, left))
            tally.answers[str(last)] += 1
            if isinstance(last, int) and 200 <= last < 300:
                tally.answered(due, time.monotonic(), attempts)
                if self._listed is not None:
                    self._listed.write(f"{call.client} {call.key}\n")
                self._told(call, due, OK, place, attempts)
                return True
            if last in HOPELESS:
                break
            if last == REFUSED and attempts % count:
                continue  # nobody is there: the next one is asked at once
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_MAX_S)
        tally.gave_up(call.key, due, attempts, last)
        self._told(call, due, REJECTED if last in HOPELESS else UNKNOWN, place, attempts)
        return False

    def _told(self, call: Call, due: float, outcome: str, place: int, attempts: int) -> None:
        """List what became of one order."""
        if self._orders is not None and call.path == ORDERS:
            latency_ms = (time.monotonic() - due) * 1e3
            one = Order(self.tally.wall(due), latency_ms, outcome, place, attempts)
            self._orders.write(one.line())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self.options.progress_s)
            tally = self.tally
            under_way = tally.sent - tally.acknowledged - tally.failed
            sys.stderr.write(
                f"{tally.sent} sent, {tally.acknowledged} acknowledged, {tally.failed} failed, "
                f"{under_way} under way\n"
            )
            sys.stderr.flush()
            if self._listed is not None:
                self._listed.flush()


def check(options: Options) -> None:
    """See that options make sense.

    Raises:
        LoadError: one does not.
    """
    if not 1 <= len(options.urls) <= URLS_MAX:
        raise LoadError(f"give --url 1 to {URLS_MAX} times, not {len(options.urls)} times")
    if not 0 < options.rate <= RATE_MAX:
        raise LoadError(f"--rate is above 0 and at most {RATE_MAX:g}, not {options.rate:g}")
    if not 1 <= options.buyers <= BUYERS_MAX:
        raise LoadError(f"--buyers is 1 to {BUYERS_MAX}, not {options.buyers}")
    if not 0 < options.rate * options.seconds <= ORDERS_MAX:
        raise LoadError(f"--rate times --seconds is 1 to {ORDERS_MAX} orders: choose less of one")
    try:
        for url in options.urls:
            Target.of(url)
    except UrlError as wrong:
        raise LoadError(str(wrong)) from wrong


def load(options: Options) -> Tally:
    """Run a load to its end; SIGINT and SIGTERM end it early, and well.

    Raises:
        LoadError: an option makes no sense, or the list cannot be written.
    """
    check(options)

    async def run(listed: IO[str] | None, orders: IO[str] | None) -> Tally:
        running = Load(options, listed, orders)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, running.stop)
        return await running.run()

    with ExitStack() as files:
        listed, orders = (_open(name, files) for name in (options.acknowledged, options.orders))
        return asyncio.run(run(listed, orders))


def _open(name: str, files: ExitStack) -> IO[str] | None:
    """Open a list for as long as `files` does; nobody's is None."""
    if not name:
        return None
    if name == "-":
        files.callback(sys.stdout.flush)
        return sys.stdout
    try:
        return files.enter_context(Path(name).open("w", encoding="utf-8"))
    except OSError as wrong:
        raise LoadError(f"{name} cannot be written: {wrong.strerror}") from wrong
