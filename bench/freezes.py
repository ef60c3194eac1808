"""What a machine costs that stands still for a moment: how often a ring takes that for a loss.

    PYTHONPATH=. python -m bench.freezes --times 50 --frozen 0.8

All peers of a trading ring are stopped at once, for so many seconds, and go on at once, in an order
that changes; 0.5 s of silence is what they bear. Nobody was lost, so no trader needs to be changed.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time

from bench.rig import Ring, kill, ring, until

PORT = 21_400
TRADES_S = 0.5


def epoch_of(rig: Ring) -> int:
    """Return the ring's epoch once all follow one trader."""
    return int(until(rig.settled, f"a trader that all follow; logs in {rig.data}")["epoch"])


def freeze(rig: Ring, seconds: float, shuffled: random.Random) -> None:
    lines = [line for peer in range(rig.peers) if (line := rig.own(peer)) is not None]
    pids = [line["pid"] for line in lines]
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
    parser.add_argument("--peers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    shuffled, changed = random.Random(args.seed), 0
    with ring(args.peers, PORT, "--rate", "40") as rig:
        for number in range(args.times):
            before = epoch_of(rig)
            time.sleep(TRADES_S * shuffled.random())
            freeze(rig, args.frozen, shuffled)
            time.sleep(TRADES_S)
            changed += epoch_of(rig) > before
            print(f"{number + 1} of {args.times}: {changed} changed", file=sys.stderr, flush=True)
    print(f"{args.times} times {args.frozen:g} s: the trader changed in {changed}")


if __name__ == "__main__":
    main()
