"""A schedule's plan, drawn from its seed: a small world, a swarm of faults, clients' commands.

Small worlds and limits, timeouts near each other and faults aimed at whoever plays a part reach in
thousands of schedules what uniform ones do not reach in millions. Every fault and every command
has a name, so that shrinking can leave it out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from bazaar_peer.core.machine import Context, Machine
from bazaar_peer.core.types import MS, Limits, Nanos, PeerId, Settings, Timing, ordinal_of
from bazaar_peer.market.commands import MarketSettings, encode_settings
from bazaar_peer.market.market import Market
from bazaar_peer.simulation.counter import Counter
from bazaar_peer.simulation.dice import Dice


class Newer(Counter):
    """A later release of the counter: where its version is in force, it adds one more (U1)."""

    version = 2

    def apply(self, body: bytes, context: Context) -> bytes:
        self.value += context.version >= 2
        return super().apply(body, context)


class Plan(Struct, kw_only=True):
    """Everything that a run is made of, but for what its dice streams decide on the way."""

    seed: int
    peers: int
    machine: str = "counter"
    election: str = "ring"
    genesis: bytes = b""
    timing: Timing = Timing()
    limits: Limits = Limits()
    preempt: bool = False
    checkpoint_entries: int = 1000
    checkpoint_interval: Nanos = 0
    catch_up_limit: int = 1000
    batch_max: int = 4096
    queue_max: int = 4096
    ingress_max: int = 1000
    journal_max_bytes: int = 1 << 30
    chunk_bytes: int = 1 << 18
    length: Nanos = 500 * MS
    latency: Nanos = 100_000
    jitter: Nanos = 0
    fifo: bool = True
    loss: float = 0.0
    doubled: float = 0.0
    slow: float = 0.0
    slow_max: Nanos = 0
    sync: Nanos = 200_000
    sync_jitter: Nanos = 0
    linger: Nanos = 5 * MS
    """When a pair looks at its connection after a link changed."""
    lingers: bool = False
    """A cut link is not noticed."""
    rates: list[int]
    turn: Nanos = 0
    mixed: bool = False
    faults: list[tuple[str, Nanos, str, tuple[Any, ...]]] = []
    """(name, when, kind, arguments)."""
    commands: list[tuple[str, Nanos, str, tuple[Any, ...]]] = []

    def settings(self, me: PeerId) -> Settings:
        return Settings(
            me=me,
            ring="simulated",
            timing=self.timing,
            election=self.election,
            catch_up_limit=self.catch_up_limit,
            batch_max=self.batch_max,
            queue_max=self.queue_max,
            ingress_max=self.ingress_max,
            preempt=self.preempt,
            checkpoint_entries=self.checkpoint_entries,
            checkpoint_interval=self.checkpoint_interval,
            journal_max_bytes=self.journal_max_bytes,
            chunk_bytes=self.chunk_bytes,
        )

    def machine_of(self, peer: int, life: int) -> Callable[[], Machine]:
        """Return a peer's machine; in a mixed ring a restart brings the newer version.

        −1 is the reference: it knows all that any peer knows.
        """
        if self.mixed and (peer < 0 or life > 1 or ordinal_of(peer) % 2):
            return Newer
        return Market if self.machine == "market" else Counter


def plain(peers: int, seed: int = 0, **more: Any) -> Plan:
    """Return a world without faults, for scripts."""
    return Plan(seed=seed, peers=peers, rates=[1000] * peers, **more)


def draw(seed: int, peers: int = 0) -> Plan:
    """Draw a biased schedule; the order of draws is part of what a seed means."""
    dice = Dice(seed, "plan")
    peers = peers or dice.choice([3, 3, 4, 5, 5, 5, 6])
    timeout = dice.between(30, 60) * MS
    timing, limits = _draw_timing(dice, timeout), _draw_limits(dice)
    market = dice.chance(0.6)
    mixed = not market and dice.chance(0.4)
    rough = dice.chance(0.6)
    plan = Plan(
        seed=seed,
        peers=peers,
        machine="market" if market else "counter",
        genesis=encode_settings(MarketSettings(dice.choice([0, 250, 3333]))) if market else b"",
        election="bully" if dice.chance(0.15) else "ring",
        timing=timing,
        limits=limits,
        **_draw_sizes(dice),
        length=timeout * dice.between(8, 24),
        **_draw_network(dice, timeout, rough=rough),
        **_draw_disks(dice, timeout),
        linger=timeout // dice.choice([1, 3, 20]),
        lingers=dice.chance(0.3),
        rates=[dice.between(900, 1100) if rough else 1000 for _ in range(peers)],
        turn=dice.choice([0, 0, 200_000, timeout // 20]),
        mixed=mixed,
        **_draw_wishes(Dice(seed, "wishes"), timeout),
    )
    plan.faults = draw_faults(plan, Dice(seed, "faults"))
    plan.commands = draw_commands(plan, Dice(seed, "workload"))
    return plan


def _draw_wishes(dice: Dice, timeout: Nanos) -> dict[str, Any]:
    """What a ring may be asked for: a stream of its own, since it came later."""
    return {
        "preempt": dice.chance(0.1),
        "checkpoint_interval": dice.choice([0, 0, 0, 4 * timeout]),
    }


def _draw_timing(dice: Dice, timeout: Nanos) -> Timing:
    """Timeouts near each other."""
    return Timing(
        heartbeat_interval=timeout // dice.choice([2, 3, 4]),
        heartbeat_timeout=timeout,
        step=timeout // dice.choice([3, 5, 8]),
        hop_timeout=timeout // dice.choice([4, 6, 10]),
        retry=timeout // 20,
    )


def _draw_limits(dice: Dice) -> Limits:
    return Limits(
        sessions=dice.choice([1, 2, 4]),
        peer_window=dice.choice([2, 3, 4, 16]),
        client_window=dice.choice([2, 3, 4]),
        keys=dice.choice([2, 3, 1000]),
        key_retention_ms=dice.choice([200, 400, 2000]),
        session_retention_ms=dice.choice([150, 400, 10_000]),
    )


def _draw_sizes(dice: Dice) -> dict[str, Any]:
    """Small worlds: bounds that a handful of commands comes up against."""
    return {
        "checkpoint_entries": dice.choice([3, 4, 5, 8, 1000]),
        "catch_up_limit": dice.choice([0, 1, 2, 100, 100]),
        "batch_max": dice.choice([1, 2, 3, 16]),
        "queue_max": dice.choice([2, 4, 64]),
        "ingress_max": dice.choice([4, 64]),
        "journal_max_bytes": dice.choice([200, 1000, 1 << 20]),
        "chunk_bytes": dice.choice([1, 1, 150, 400, 1 << 18]),
    }


def _draw_network(dice: Dice, timeout: Nanos, *, rough: bool) -> dict[str, Any]:
    return {
        "latency": dice.choice([50_000, 200_000, timeout // 20]),
        "jitter": dice.choice([0, 100_000, timeout // 10]),
        "fifo": dice.chance(0.6),
        "loss": dice.choice([0.0, 0.01, 0.05]) if rough else 0.0,
        "doubled": dice.choice([0.0, 0.02, 0.05]) if rough else 0.0,
        "slow": dice.choice([0.0, 0.02, 0.08]) if rough else 0.0,
        "slow_max": timeout * dice.choice([1, 3, 10]),
    }


def _draw_disks(dice: Dice, timeout: Nanos) -> dict[str, Any]:
    return {
        "sync": dice.choice([20_000, 300_000, timeout // 20]),
        "sync_jitter": dice.choice([0, 500_000, timeout // 6]),
    }


TRADER, NOMINEE, ANYONE = -1, -2, -3
FUSES = (
    "epoch_started epoch_started epoch_started reign_begun nominee invested promised follows"
    " truncated checkpoint_installed checkpoint_sent successor_named batch_reordered"
    " submitted_again session_open Chunk Chunk LateChunk LateChunk LateChunk LateChunk LateChunk"
).split()
HELD = (
    "Append Append Appended Appended IWon Promise Promise Chunk Fetch Nominated Election Submit"
    " Submit Answers AppendRefused Part"
).split()


def draw_faults(plan: Plan, dice: Dice) -> list[tuple[str, Nanos, str, tuple[Any, ...]]]:
    """Draw a swarm: some kinds of fault, some of each, at any time before the quiet end."""
    t, n = plan.timing.heartbeat_timeout, plan.peers

    def who() -> int:
        return dice.choice([TRADER, TRADER, NOMINEE, ANYONE, dice.below(n), dice.below(n)])

    def span() -> Nanos:
        return t * dice.choice([1, 2, 4, 8, 16]) // dice.choice([1, 2, 4])

    kinds: dict[str, Callable[[], tuple[Any, ...]]] = {
        "crash": lambda: (who(), span()),
        "pause": lambda: (who(), span()),
        "cut": lambda: (who(), dice.below(n), dice.chance(0.5), span()),
        "isolate": lambda: (who(), dice.choice(["in", "out", "both"]), span()),
        "split": lambda: (dice.below(1 << n), span()),
        "graph": lambda: (dice.below(1 << (n * (n - 1) // 2)), span()),
        "clog": lambda: (dice.below(1 << 30), span()),
        "stall": lambda: (who(), span()),
        "sync_fails": lambda: (who(), span()),
        "hold": lambda: (dice.choice(HELD), who(), span()),
        "fuse": lambda: (dice.choice(FUSES), dice.below(6), span(), ANYONE),
        "majority": lambda: (dice.between(1, 3),),
        "resign": lambda: (dice.chance(0.4), dice.choice([-1, dice.below(n)])),
        "most": lambda: (dice.below(1 << 30), span()),
        "damage": lambda: (who(),),
        "wish": lambda: (dice.between(1, 7),),
        "change": lambda: (dice.between(1, 7), dice.choice([1, 1, 2, 3]), span()),
        "restore": lambda: (who(), t * dice.choice([1, 2, 4]) // 4),
    }
    chosen = dice.some(list(kinds), dice.between(1, 7))
    drawn = []
    for kind in chosen:
        for _ in range(1 if kind in {"damage", "restore"} else dice.between(1, 5)):
            drawn.append((dice.below(plan.length), kind, kinds[kind]()))
    drawn.sort(key=lambda fault: fault[0])
    return [(f"f{i}", *fault) for i, fault in enumerate(drawn)]


def draw_commands(plan: Plan, dice: Dice) -> list[tuple[str, Nanos, str, tuple[Any, ...]]]:
    """Draw key commands, sessions and reads; some of them close to each other."""
    drawn: list[tuple[Nanos, str, tuple[Any, ...]]] = []
    for key in range(dice.between(2, 12)):
        rival = dice.chance(0.1)
        drawn.append((dice.below(plan.length), "key", (key, dice.below(1 << 30), rival)))
    if dice.chance(0.5):
        for at in [dice.below(plan.length) for _ in range(2)]:
            for key in range(100, 100 + dice.between(2, 4)):
                drawn.append((at, "key", (key + at, dice.below(1 << 30), False)))
    for client in range(dice.choice([0, 1, 1, 2])):
        drawn.append((dice.below(plan.length // 2), "session", (client, dice.below(1 << 30))))
    for _ in range(dice.choice([0, 2, 6])):
        drawn.append((dice.below(plan.length), "read", (dice.chance(0.7), dice.below(1 << 30))))
    drawn.sort(key=lambda command: command[0])
    return [(f"c{i}", *command) for i, command in enumerate(drawn)]
