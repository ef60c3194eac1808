"""`bazaar load`: an open loop of orders, for drills.

Orders are due at a rate, whatever became of earlier ones. Each has one key, and is attempted with
it, `ATTEMPT_S` at a time, until some answer takes it or `DEADLINE_S` has gone by since it was due:
then it has failed. What was acknowledged is listed, so that `bazaar verify` can prove that nothing
of it is missing or doubled. Memory is bounded by the rate (orders under way) and the number of
orders (four bytes each).
"""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bazaar_peer.command.attempts import Call, Target, UrlError, attempt
from bazaar_peer.command.tally import GAP_MS, Tally
from bazaar_peer.market.commands import QUANTITY_MAX

ATTEMPT_S, DEADLINE_S = 1.0, 10.0
PAUSE_S, PAUSE_MAX_S = 0.02, 0.25
"""Before the next attempt, doubled each time: peers that are gone are not stormed."""
RATE_MAX, ORDERS_MAX, URLS_MAX = 1000.0, 10_000_000, 64
PACE_S = 0.05
PROGRESS_S = 5.0
HOPELESS = frozenset({400, 404, 405, 413, 415, 422})
"""The same request will be answered the same for ever."""
PRICE = 1


class LoadError(Exception):
    """A load that cannot be; the text says how to mend it."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is to be sent, where, how fast and for how long."""

    urls: list[str]
    rate: float
    seconds: float
    item: str = "salt"
    gap_ms: float = GAP_MS
    acknowledged: str = ""
    """A file; `-` is standard output; empty: nowhere."""


class Load:
    """One run: `run` ends when its time is over, or soon after `stop`."""

    def __init__(self, options: Options, listed: IO[str] | None) -> None:
        self.options = options
        self.client = f"load-{secrets.token_hex(4)}"
        self.tally = Tally(gap_ms=options.gap_ms)
        self._targets = [Target.of(url) for url in options.urls]
        self._listed = listed
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

    async def _pace(self, orders: asyncio.TaskGroup) -> None:
        body = json.dumps({"item": self.options.item, "quantity": 1, "buyer": self.client}).encode()
        began, number = time.monotonic(), 0
        count = int(self.options.rate * self.options.seconds)
        while number < count and not self._stopped.is_set():
            now = time.monotonic()
            while number < count and (due := began + number / self.options.rate) <= now:
                self.tally.late_s = max(self.tally.late_s, now - due)
                call = Call("/v1/orders", self.client, f"order-{number}", body)
                orders.create_task(self._carry(call, due))
                number += 1
            # Never a whole pause late: an order is due at its own moment, not at a tick's.
            wait = began + number / self.options.rate - time.monotonic()
            await asyncio.sleep(min(max(wait, 0.0), PACE_S))

    async def _carry(self, call: Call, due: float) -> bool:
        """Attempt a command until it is taken, or has failed; tell which."""
        tally, attempts, pause = self.tally, 0, PAUSE_S
        tally.sent += 1
        last: int | str = ""
        while (left := due + DEADLINE_S - time.monotonic()) > 0.1:  # no peer takes a shorter one
            self._turn += 1
            target = self._targets[self._turn % len(self._targets)]
            attempts += 1
            last = await attempt(target, call, min(ATTEMPT_S, left))
            tally.answers[str(last)] += 1
            if isinstance(last, int) and 200 <= last < 300:
                tally.answered(due, time.monotonic(), attempts)
                if self._listed is not None:
                    self._listed.write(f"{call.client} {call.key}\n")
                return True
            if last in HOPELESS:
                break
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_MAX_S)
        tally.gave_up(call.key, due, attempts, last)
        return False

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_S)
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
    try:
        listed = _open(options.acknowledged)
    except OSError as wrong:
        raise LoadError(f"{options.acknowledged} cannot be written: {wrong.strerror}") from wrong

    async def run() -> Tally:
        running = Load(options, listed)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, running.stop)
        return await running.run()

    try:
        return asyncio.run(run())
    finally:
        if listed is not None:
            listed.flush()
            if listed is not sys.stdout:
                listed.close()


def _open(name: str) -> IO[str] | None:
    if not name:
        return None
    return sys.stdout if name == "-" else Path(name).open("w", encoding="utf-8")
