"""What a machine costs that stands still for a moment: how often a ring takes that for a loss.

    PYTHONPATH=. python -m bench.freezes --times 50 --frozen 0.8
    PYTHONPATH=. python -m bench.freezes --who trader --frozen 0.8

All peers of a trading ring, its trader or a follower are stopped at once, for so many seconds, and
go on at once, in an order that changes; 0.15 s of silence is what they bear. If all stood still, or
a follower, nobody was lost, so no trader needs to be changed; if the trader did, for longer than
that, one change is needed, and another one, back, is not.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections import Counter

from bench.rig import Ring, kill, ring, until

PORT = 21_400
TRADES_S = 0.5


def epoch_of(rig: Ring) -> int:
    """Return the ring's epoch once all follow one trader."""
    return int(until(rig.settled, f"a trader that all follow; logs in {rig.data}")["epoch"])


def told(changes: Counter[int]) -> str:
    """Say how many epochs a standstill cost, and how often."""
    return ", ".join(f"{count} × {epochs} epochs" for epochs, count in sorted(changes.items()))


def freeze(rig: Ring, who: str, seconds: float, shuffled: random.Random) -> None:
    lines = [line for peer in range(rig.peers) if (line := rig.own(peer)) is not None]
    trades = who == "trader"
    pids = [
        line["pid"] for line in lines if who == "all" or (line["trader"] == line["id"]) is trades
    ]
    if who == "follower":
        pids = [shuffled.choice(pids)]
    for pid in pids:
        kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    shuffled.shuffle(pids)
    for pid in pids:
        kill(pid, signal.SIGCONT)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--frozen", type=float, default=0.8, help="seconds")
    parser.add_argument("--who", choices=("all", "trader", "follower"), default="all")
    parser.add_argument("--peers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    shuffled, changes = random.Random(args.seed), Counter[int]()
    with ring(args.peers, PORT, "--rate", "40") as rig:
        for number in range(args.times):
            before = epoch_of(rig)
            time.sleep(TRADES_S * shuffled.random())
            freeze(rig, args.who, args.frozen, shuffled)
            time.sleep(TRADES_S)
            changes[epoch_of(rig) - before] += 1
            print(f"{number + 1} of {args.times}: {told(changes)}", file=sys.stderr, flush=True)
    print(f"{args.who}, {args.times} times {args.frozen:g} s: {told(changes)}")


if __name__ == "__main__":
    main()
