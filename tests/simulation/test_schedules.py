"""Random schedules of the core: no rule is broken, a seed is a run, and it is fast enough."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from bazaar_peer.simulation.run import simulate, trace
from bazaar_peer.simulation.schedule import play

SEEDS = 150


def test_drawn_schedules_break_no_rule() -> None:
    result = simulate(1, schedules=SEEDS)

    assert [(v.seed, v.why) for v in result.violations] == []
    assert result.schedules == SEEDS


def test_bully_nomination_breaks_no_rule() -> None:
    """The same schedules with the second nominator are a fraction of all; here one is certain."""
    outcomes = [play(seed, 3) for seed in range(40)]

    assert [(o.seed, o.why) for o in outcomes if o.rule] == []


def test_a_seed_is_one_run() -> None:
    """G14: the same inputs and effects at the same times, twice in one process."""
    first = [play(seed, hashed=True).trace for seed in range(20)]
    again = [play(seed, hashed=True).trace for seed in range(20)]

    assert first == again


HASHES = """
from bazaar_peer.simulation.schedule import play
print([play(seed, hashed=True).trace for seed in range(COUNT)])
"""


@pytest.mark.parametrize("count", [10, pytest.param(200, marks=pytest.mark.long)])
def test_a_run_does_not_depend_on_the_hash_seed(count: int) -> None:
    """G14: one trace hash under three hash seeds."""
    script = HASHES.replace("COUNT", str(count))
    path = os.pathsep.join(sys.path)

    def played(hash_seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path}
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            check=True,
            text=True,
        )
        return done.stdout

    with ThreadPoolExecutor() as beside:
        traces = list(beside.map(played, ("0", "1", "random")))

    assert traces[0] == traces[1] == traces[2]


def test_a_trace_is_one_line_an_event() -> None:
    lines = list(trace(3))

    assert len(lines) > 100
    assert lines[-1] == "no rule is broken"
    assert all("\n" not in line and len(line) <= 160 for line in lines)
