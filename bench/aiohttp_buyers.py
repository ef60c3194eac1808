"""Buyers with an ordinary Python HTTP client: what the Pyro4 baseline and the report are held to.

python -m bench.aiohttp_buyers --url http://127.0.0.1:8600 --buyers 8 --orders 1200
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time

import aiohttp
import uvloop

from bench.load import summary

BODY = b'{"item":"salt","quantity":1,"buyer":"bench"}'
HEADERS = {"Content-Type": "application/json"}


async def buy(session: aiohttp.ClientSession, url: str, count: int, found: list[float]) -> None:
    for _ in range(count):
        began = time.perf_counter()
        async with session.post(url, data=BODY, headers=HEADERS) as answer:
            await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"an order was answered {answer.status}")
        found.append(time.perf_counter() - began)


async def measure(args: argparse.Namespace) -> dict[str, float]:
    found: list[float] = []
    async with aiohttp.ClientSession() as session:
        await buy(session, args.url + "/v1/orders", 20, [])
        began = time.perf_counter()
        each = args.orders // args.buyers
        url = args.url + "/v1/orders"
        await asyncio.gather(*(buy(session, url, each, found) for _ in range(args.buyers)))
        took = time.perf_counter() - began
    return summary(found, took, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--buyers", type=int, default=1)
    parser.add_argument("--orders", type=int, default=1200)
    print(json.dumps(uvloop.run(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
