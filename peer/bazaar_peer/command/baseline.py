"""`bazaar bench --compare pyro4`: the same design on Pyro4, written cleanly, on this machine.

The baseline is no part of the installed package. It stands in the `bench/` folder of a checkout,
and is found if this very package is run from there (`pip install -e '.[bench]'`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from bazaar_peer.command.report.bench_json import Baseline

SCRIPT = Path(__file__).resolve().parents[3] / "bench" / "pyro4_baseline.py"
TIMEOUT_S = 600.0
SYNC_EACH = -1
"""The baseline's word for: each trade is synced to disk before it is answered."""
NEEDED = (
    "--compare pyro4 needs Pyro4 and a checkout of the project, which has the baseline in bench/: "
    "run `pip install -e '.[bench]'` there, then `bazaar bench --compare pyro4` again"
)
RUN = (
    "import sys; sys.path.insert(0, sys.argv[1]); import pyro4_baseline; "
    "pyro4_baseline.bench(int(sys.argv[2]), False, int(sys.argv[4]), 1, int(sys.argv[3]))"
)


class BaselineError(Exception):
    """The baseline cannot be run here; the text says what is missing or went wrong."""


def check(script: Path = SCRIPT) -> None:
    """See that the baseline can be run, before anything is measured.

    Raises:
        BaselineError: something is missing.
    """
    if not script.is_file() or find_spec("Pyro4") is None:
        raise BaselineError(NEEDED)


def run(peers: int, requests: int, script: Path = SCRIPT) -> Baseline:
    """Run one buyer's requests against the baseline, each trade synced to its trader's disk.

    Raises:
        BaselineError: it failed.
    """
    arguments = [str(script.parent), str(peers), str(requests), str(SYNC_EACH)]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and our own file
            [sys.executable, "-c", RUN, *arguments],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise BaselineError(f"the Pyro4 baseline took longer than {TIMEOUT_S:g} s") from late
    results = [line for line in done.stdout.splitlines() if line.startswith("RES ")]
    if done.returncode or not results:
        last = (done.stderr.strip().splitlines() or ["no result"])[-1]
        raise BaselineError(f"the Pyro4 baseline failed: {last}")
    return read(results[-1].removeprefix("RES "))


def read(text: str) -> Baseline:
    """Return the figures of the baseline's own line.

    Raises:
        BaselineError: an order of it was lost, so its figures say nothing.
    """
    found = json.loads(text)
    if found["ok"] != found["n"] or not found["rps"]:
        raise BaselineError(f"{found['n'] - found['ok']} orders of the Pyro4 baseline failed")
    return Baseline(
        mean_ms=round(1000 / found["rps"], 3),
        p50_ms=found["p50"],
        p99_ms=found["p99"],
        max_ms=found["max"],
    )
