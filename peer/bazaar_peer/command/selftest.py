"""`bazaar selftest`: the drill of `helm test`, from a pod beside the ring.

It buys goods of its own at a steady rate, deletes the trader's pod meanwhile, and wants every order
answered and executed once, key by key. The pod is deleted only in a ring that is settled and has a
majority without it; where the ring is too small for that, it buys and counts alone. What was not
bought is taken off the market again.
"""

from __future__ import annotations

import asyncio
import io
import secrets
from collections.abc import Callable
from typing import NamedTuple

import aiohttp

from bazaar_peer.command.client import CallError, call
from bazaar_peer.command.drill.place import View
from bazaar_peer.command.executions import wrong_executions
from bazaar_peer.command.handing_over import Drill, Handed, SelfTestError
from bazaar_peer.command.load import Load, LoadError, Options, check
from bazaar_peer.command.pods import AccountPods, Pods, PodsError

__all__ = ["Found", "SelfTestError", "run", "selftest"]

RATE, LONGEST_S = 25.0, 80.0
"""Keys are remembered for two minutes: the first one is looked up well within."""
BEHIND_S = 2.0
"""Of load, when the next one reigns and the pod is gone."""


class Found(NamedTuple):
    """What the drill came to."""

    acknowledged: int
    retried: int
    longest_gap_ms: float
    handed: Handed | None
    """None: the ring is too small to lose its trader."""


async def selftest(url: str, name: str, pods: Pods, say: Callable[[str], None]) -> Found:
    """Drill a ring whose pods are called `name`-0, `name`-1, and so on.

    Raises:
        SelfTestError: the ring did not pass, or could not be drilled.
    """
    item = f"selftest-{secrets.token_hex(4)}"
    options = Options(urls=[url], rate=RATE, seconds=LONGEST_S, item=item)
    check(options)
    listed = io.StringIO()
    load = Load(options, listed)
    drill = Drill(url, name, pods, say)
    await drill.settled()
    try:
        drill.loading = asyncio.create_task(load.run())
        try:
            await drill.bought(load.tally)
            handed = await drill.hand_over() if await drill.may_lose_one() else None
            await asyncio.sleep(BEHIND_S)
        finally:
            load.stop()
            tally = await drill.loading
        await _check(url, drill.view, load, listed.getvalue())
    finally:
        await _withdraw(url, item, say)
    gap = float(str(tally.told()["longest_gap_ms"]))
    return Found(tally.acknowledged - 1, tally.retried, gap, handed)  # the first is the deposit


async def _check(url: str, view: View, load: Load, listed: str) -> None:
    """See that each order was answered, and each acknowledged one executed once."""
    tally, item = load.tally, load.options.item
    if tally.failed:
        raise SelfTestError(f"{tally.failed} orders failed: {tally.told()['failures']}")
    keys = [key for line in listed.splitlines() if (key := line.split()[1]).startswith("order-")]
    gone = int(RATE * LONGEST_S) - await _left(url, item)
    peers = [line.url for line in view.lines]
    if wrong := await wrong_executions(url, peers, load.client, keys, item, gone):
        raise SelfTestError("; ".join(wrong))


async def _left(url: str, item: str) -> int:
    told = await call("GET", url, "/v1/stock?consistency=linearizable")
    return int(told["items"].get(item, {"on_offer": 0})["on_offer"])


async def _withdraw(url: str, item: str, say: Callable[[str], None]) -> None:
    """Take off the market what was not bought, whatever the drill came to."""
    try:
        told = await call("GET", url, "/v1/stock?consistency=linearizable")
        for lot in told["items"].get(item, {"lots": []})["lots"]:
            body = {"lot": lot["lot"], "quantity": lot["quantity"]}
            key = {"Idempotency-Key": f"{item}-rest-{lot['lot']}"}
            await call("POST", url, "/v1/withdrawals", body, key)
    except CallError as wrong:
        say(f"what was not bought of {item} stays on offer, `bazaar withdraw` takes it: {wrong}")


def run(url: str, name: str, namespace: str, say: Callable[[str], None]) -> None:
    """Drill, and tell in sentences. Raises SelfTestError."""
    try:
        found = asyncio.run(selftest(url, name, AccountPods(namespace), say))
    except (CallError, LoadError, PodsError, aiohttp.ClientError, TimeoutError) as wrong:
        raise SelfTestError(str(wrong) or type(wrong).__name__) from wrong
    if (handed := found.handed) is not None:
        spell = "unknown" if handed.interregnum_ms is None else f"{handed.interregnum_ms:g} ms"
        say(f"{handed.pod} handed over to {handed.next_pod}; interregnum: {spell}")
    say(
        f"{found.acknowledged} orders, all answered ({found.retried} asked again), each executed "
        f"once; longest time between two answers: {found.longest_gap_ms:g} ms"
    )
