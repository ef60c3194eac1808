"""`bazaar simulate`: a campaign of the simulator, and what it came to."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from bazaar_peer.record.story import header, in_ms, write_story
from bazaar_peer.simulation.plan import draw
from bazaar_peer.simulation.plants import PLANTS
from bazaar_peer.simulation.recording import story
from bazaar_peer.simulation.run import Result, simulate
from bazaar_peer.simulation.run import trace as lines


def run(
    seed: int, peers: int, schedules: int, jobs: int, plant: str, *, trace: bool, as_json: bool
) -> bool:
    """Play and print; return whether something was found that should not be.

    Raises:
        ValueError: there is no such bug, or no such ring.
    """
    _check(peers, plant)
    if trace:
        for line in lines(seed, peers, plant):
            sys.stdout.write(line + "\n")
        return False
    result = simulate(
        seed,
        peers=peers,
        schedules=schedules,
        jobs=jobs,
        plant=plant,
        tell=_tell,
    )
    if as_json:
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    else:
        _print(result)
    if plant:
        return not result.violations  # a planted bug that is not found is the failure
    return result.failed


def record(seed: int, peers: int, plant: str, path: Path) -> None:
    """Play one schedule and write its story. Raises ValueError as `run` does, OSError."""
    _check(peers, plant)
    count, end = record_seed(seed, peers, plant, path)
    sys.stdout.write(f"seed {seed}: {end}; {count:,} steps in {path}: bazaar watch {path}\n")


def _check(peers: int, plant: str) -> None:
    if plant and plant not in PLANTS:
        raise ValueError(f"no bug is called {plant!r}; there are: {', '.join(sorted(PLANTS))}")
    if peers and not 3 <= peers <= 6:
        raise ValueError(f"--peers is 3 to 6, or 0 to draw it from the seed; not {peers}")


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")


def _print(result: Result) -> None:
    out = sys.stdout.write
    last = result.first_seed + result.schedules - 1
    out(f"seeds {result.first_seed} to {last}: {result.schedules} schedules, ")
    out(f"{result.events:,} events, {result.operations:,} operations of clients, ")
    out(f"{result.virtual_s:,.0f} s of simulated time\n")
    out(f"{result.events_per_second:,} events a second of one core\n")
    out(f"election timeouts from healing to a trader: {result.timeouts_to_trade}\n")
    for violation in result.violations:
        out(f"VIOLATION of {violation.rule} at seed {violation.seed}: {violation.why}\n")
        again = f"bazaar simulate --seed {violation.seed} --trace"
        out(f"  see it: {again}{' --plant ' + result.plant if result.plant else ''}\n")
    if result.missing:
        out(f"states not reached: {', '.join(result.missing)}\n")
    if not result.violations:
        out("no violation found\n")


def record_seed(seed: int, peers: int, plant: str, path: Path) -> tuple[int, str]:
    """Play one schedule and write it; return how many entries that is, and how it ended."""
    plan = draw(seed, peers)
    first = header(f"seed-{seed}", "simulation", *in_ms(plan.timing), f"seed {seed}")
    told = list(story(seed, peers, plant))
    return write_story(path, first, told), told[-1]["fields"]["why"]
