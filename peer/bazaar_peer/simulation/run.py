"""Campaigns: many schedules on some processes, counted; and one schedule, told line by line."""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Callable, Iterator
from functools import partial

from msgspec import Struct

from bazaar_peer.core import effects as ef
from bazaar_peer.simulation.plan import draw
from bazaar_peer.simulation.plants import planted
from bazaar_peer.simulation.reach import MUST
from bazaar_peer.simulation.schedule import GOAL, Outcome, Schedule, play
from bazaar_peer.simulation.violation import Violation

MUST_FROM = 3000
"""A campaign of so many schedules must have reached every must-reach state."""
TOLD_EVERY_S = 5
COLLECT_EVERY = 20


class Result(Struct, kw_only=True):
    """What a campaign came to."""

    first_seed: int
    plant: str
    schedules: int = 0
    events: int = 0
    operations: int = 0
    both_checked: int = 0
    virtual_s: float = 0.0
    seconds: float = 0.0
    violations: list[Outcome] = []
    reached: dict[str, int] = {}
    missing: list[str] = []
    timeouts_to_trade: dict[str, float] = {}
    """Election timeouts from healing to a trader, copies aside; how many miss the goal."""

    @property
    def events_per_second(self) -> int:
        """Events of one core."""
        return int(self.events / self.seconds) if self.seconds else 0

    @property
    def failed(self) -> bool:
        must = self.schedules >= MUST_FROM and not self.plant
        return bool(self.violations) or (must and bool(self.missing))


def simulate(
    seed: int = 1,
    *,
    peers: int = 0,
    schedules: int = 200,
    jobs: int = 1,
    plant: str = "",
    tell: Callable[[str], None] = lambda line: None,
    first_only: bool = False,
) -> Result:
    """Play schedules `seed` … `seed + schedules - 1`; `first_only`: stop at the first violation."""
    result = Result(first_seed=seed, plant=plant)
    began, told, waited = time.monotonic(), time.monotonic(), []
    for outcome in _outcomes(range(seed, seed + schedules), peers, jobs, plant):
        _count(result, outcome)
        if outcome.rule:
            tell(f"seed {outcome.seed}: {outcome.why}")
            if first_only:
                break
        else:
            waited.append(outcome.timeouts_to_trade)
        if time.monotonic() - told > TOLD_EVERY_S:
            told = time.monotonic()
            rate = result.events / (told - began)
            tell(f"{result.schedules} of {schedules} schedules, {rate:,.0f} events/s")
    result.seconds = (time.monotonic() - began) * max(1, jobs)
    result.missing = [state for state in MUST if not result.reached.get(state)]
    waited.sort()
    if waited:
        at = {"p50": 0.5, "p99": 0.99, "worst": 1.0}
        last = len(waited) - 1
        result.timeouts_to_trade = {n: round(waited[int(last * q)], 2) for n, q in at.items()}
        result.timeouts_to_trade[f"over {GOAL}"] = sum(1 for timeouts in waited if timeouts > GOAL)
    return result


def _outcomes(seeds: range, peers: int, jobs: int, plant: str) -> Iterator[Outcome]:
    if jobs <= 1:
        with planted(plant):
            yield from (_play(seed, peers) for seed in seeds)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        one = partial(_play_planted, peers=peers, plant=plant)
        yield from pool.imap_unordered(one, seeds, chunksize=20)


def _play(seed: int, peers: int) -> Outcome:
    """Play without the cycle collector in between, a tenth of the time; a world is all cycles."""
    gc.disable()
    try:
        return play(seed, peers)
    finally:
        if seed % COLLECT_EVERY == 0:
            gc.collect()
        gc.enable()


def _play_planted(seed: int, peers: int, plant: str) -> Outcome:
    with planted(plant):
        return _play(seed, peers)


def _count(result: Result, outcome: Outcome) -> None:
    result.schedules += 1
    result.events += outcome.events
    result.operations += outcome.operations
    result.both_checked += outcome.both_checked
    result.virtual_s += outcome.virtual_ms / 1000
    if outcome.rule:
        result.violations.append(outcome)
    for state, count in outcome.reached.items():
        result.reached[state] = result.reached.get(state, 0) + count


def played(schedule: Schedule, plant: str) -> str:
    """Play a schedule to its end; return in words what that was."""
    with planted(plant):
        try:
            schedule.play()
        except Violation as violation:
            return str(violation)
    return "no rule is broken"


def trace(seed: int, peers: int = 0, plant: str = "", width: int = 160) -> Iterator[str]:
    """Play one schedule and tell it, one aligned line an event and an effect."""
    schedule = Schedule(draw(seed, peers), trace=True)
    end = played(schedule, plant)
    for now, peer, events, effects in schedule.world.recent:
        for event in events:
            yield _line(now, peer, "←", event, width)
        for effect in effects:
            yield _line(now, peer, "→", effect, width)
    yield end


def _line(now: int, peer: int, arrow: str, what: object, width: int) -> str:
    name = type(what).__name__
    if isinstance(what, ef.Note):
        text = f"{what.kind} " + " ".join(f"{key}={value}" for key, value in what.fields.items())
    else:
        text = repr(what).removeprefix(name)
    return f"{now / 1e6:12.3f} ms  peer {peer}  {arrow} {name:18} {text}"[:width]
