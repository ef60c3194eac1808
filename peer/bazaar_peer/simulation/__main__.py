"""`python -m bazaar_peer.simulation`: the simulator without the rest; see `--help`."""

from __future__ import annotations

import argparse
import sys

from bazaar_peer.simulation.plants import PLANTS
from bazaar_peer.simulation.run import simulate, trace


def main() -> int:
    parser = argparse.ArgumentParser(description="Play random schedules against the core.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peers", type=int, default=0, help="3 to 6; drawn if not given")
    parser.add_argument("--schedules", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--plant", choices=list(PLANTS), default="")
    parser.add_argument("--trace", action="store_true", help="tell one schedule, line by line")
    options = parser.parse_args()
    if options.trace:
        for line in trace(options.seed, options.peers, options.plant):
            sys.stdout.write(line + "\n")
        return 0
    result = simulate(
        options.seed,
        peers=options.peers,
        schedules=options.schedules,
        jobs=options.jobs,
        plant=options.plant,
        tell=lambda line: print(line, file=sys.stderr),  # noqa: T201
    )
    for name in ("schedules", "events", "operations", "both_checked", "virtual_s", "seconds"):
        sys.stdout.write(f"{name:22} {getattr(result, name):,}\n")
    sys.stdout.write(f"{'events/s per core':22} {result.events_per_second:,}\n")
    sys.stdout.write(f"{'timeouts to a trader':22} {result.timeouts_to_trade}\n")
    sys.stdout.write(f"{'violations':22} {[(v.seed, v.rule) for v in result.violations]}\n")
    sys.stdout.write(f"{'not reached':22} {result.missing}\n")
    for state, count in sorted(result.reached.items()):
        sys.stdout.write(f"  {state:32} {count:>10,}\n")
    return int(result.failed)


if __name__ == "__main__":
    sys.exit(main())
