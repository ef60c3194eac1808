"""What a drill is to do: its kinds, its options, and what of them cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import isfinite
from pathlib import Path

from bazaar_peer.command.load import BUYERS_MAX, ORDERS_MAX, RATE_MAX
from bazaar_peer.runtime.drill_bodies import CUT_MAX_S, PAUSE_MAX_S

TIMES_MAX = 10_000
SECONDS_MIN, SECONDS_MAX = 0.1, CUT_MAX_S
"""Of a pause or a cut; a cut heals by itself then."""
SETTLE_S, SETTLE_POD_S = 60.0, 180.0
"""A process starts anew in seconds, a pod in minutes."""
BETWEEN_S = 0.5
"""Of load before a fault and behind it, in a ring that is settled."""
URL = "http://127.0.0.1:8600"


class DrillError(Exception):
    """A drill that cannot go on; the text says why, and what to do."""


class MisuseError(DrillError):
    """Options that cannot be; the text says which and how to mend them."""


class Kind(Enum):
    """What is done to a peer."""

    CRASH = "crash"
    RESIGN = "resign"
    PAUSE = "pause"
    CUT = "cut"
    FOLLOWER = "follower"
    DRAIN = "drain"

    @property
    def planned(self) -> bool:
        """Tell whether the peer is asked to go, and may hand over first."""
        return self in {Kind.RESIGN, Kind.DRAIN}

    @property
    def lasts(self) -> bool:
        """Tell whether it goes on for some seconds, and is undone then."""
        return self in {Kind.PAUSE, Kind.CUT}


FORCED = {Kind.CRASH: "deletion by force", Kind.FOLLOWER: "deletion of a follower by force"}
"""What kill -9 becomes in a cluster. A peer is the first process of its pod, which nothing in the
pod can kill, and whoever deletes the pod by force has the kubelet ask it to go: the trader hands
over, if it is given the time."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of `bazaar drill`."""

    kind: Kind
    times: int = 1
    rate: float = 200.0
    buyers: int = 8
    url: str = URL
    namespace: str = ""
    name: str = ""
    """Of a Bazaar in a cluster; empty: the ring of `url`."""
    context: str = ""
    """Of the kubeconfig; empty: the present one."""
    follower: bool = False
    """The victim is a follower, not the trader."""
    seconds: float = 1.0
    """How long a pause or a cut lasts."""
    max_interregnum_ms: float | None = None
    report: Path | None = None
    yes: bool = False
    """Ask nothing."""
    command: str = "bazaar drill"

    @property
    def settle_s(self) -> float:
        """So long the ring may take to settle."""
        return SETTLE_POD_S if self.name else SETTLE_S

    @property
    def load_s(self) -> float:
        """So long the load must be able to last."""
        return 2 * BETWEEN_S + self.times * (self.settle_s + self.seconds + BETWEEN_S)

    @property
    def orders_max(self) -> float:
        return self.load_s * self.rate

    @property
    def forced(self) -> bool:
        """Tell whether a pod is deleted by force, where a process would be killed."""
        return bool(self.name) and self.kind in FORCED

    @property
    def word(self) -> str:
        """Say what is really done."""
        return FORCED[self.kind] if self.forced else self.kind.value


def check(options: Options) -> None:
    """See that options make sense together.

    Raises:
        MisuseError: some do not.
    """
    kind = options.kind
    if not 1 <= options.times <= TIMES_MAX:
        raise MisuseError(f"--times is 1 to {TIMES_MAX}, not {options.times}")
    if not 1 <= options.rate <= RATE_MAX:
        raise MisuseError(f"--rate is 1 to {RATE_MAX:g} orders a second, not {options.rate:g}")
    if not 1 <= options.buyers <= BUYERS_MAX:
        raise MisuseError(f"--buyers is 1 to {BUYERS_MAX}, not {options.buyers}")
    if not SECONDS_MIN <= options.seconds <= SECONDS_MAX:
        limits = f"{SECONDS_MIN:g} to {SECONDS_MAX:g}"
        raise MisuseError(f"--seconds is {limits}, not {options.seconds:g}")
    limit = options.max_interregnum_ms
    if limit is not None and not (limit > 0 and isfinite(limit)):
        raise MisuseError(f"--max-interregnum is more than 0 ms, not {limit:g}")
    if options.orders_max > ORDERS_MAX:
        raise MisuseError(
            f"{options.times} faults may take {options.load_s:,.0f} s, as each waits up to "
            f"{options.settle_s:g} s for the ring to settle: at --rate {options.rate:g} that is up "
            f"to {options.orders_max:,.0f} orders, and a load has {ORDERS_MAX:,} at most. Give a "
            "smaller --times or --rate"
        )
    if options.follower and kind is Kind.RESIGN:
        raise MisuseError("only the trader resigns: leave --peer out")
    if options.name and kind is Kind.PAUSE and options.seconds > PAUSE_MAX_S:
        raise MisuseError(
            f"a peer in a cluster is paused for {PAUSE_MAX_S:g} s at most, not {options.seconds:g}:"
            " after 30 s the kubelet would start its container anew"
        )
    if options.context and not options.name:
        raise MisuseError("--context chooses a cluster: name its Bazaar by --name, too")
    if not options.name and kind is Kind.DRAIN:
        raise MisuseError("drain takes a cluster's node: name a Bazaar by --namespace and --name")
    _check_report(options.report)


def _check_report(folder: Path | None) -> None:
    if folder is None:
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MisuseError(f"--report {folder} is there already, and not empty: name another folder")
    if not folder.absolute().parent.is_dir():
        raise MisuseError(f"--report {folder}: there is no folder {folder.absolute().parent}")
