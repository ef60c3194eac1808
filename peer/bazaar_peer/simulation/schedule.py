"""One schedule from start to quiet end: faults, then healing, then it must live (G4)."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from bazaar_peer.core import messages as msg
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.trader import Trader
from bazaar_peer.core.types import MS, NOBODY, Role, ordinal_of
from bazaar_peer.simulation.clients import Clients
from bazaar_peer.simulation.faults import Faults
from bazaar_peer.simulation.healing import heal
from bazaar_peer.simulation.history import Seen, wrong_by_index, wrong_by_order
from bazaar_peer.simulation.operations import Operation
from bazaar_peer.simulation.plan import Plan, draw
from bazaar_peer.simulation.violation import Violation, must
from bazaar_peer.simulation.world import World

SMALL = 12
"""Operations of a history that the search can judge."""
LOOKS = 20
"""Looks at the ring in one election timeout."""
GOAL = 3
"""G4: election timeouts within which a healed ring should have a trader, copies aside."""
BOUND = 4
"""And within which it must, where the last turn comes within one; docs/evidence/simulator.md says
what lies between."""
WISH_ROUNDS = 200
ROUNDS = 12
"""Fresh commands are sent so many times at most."""
PATIENCE = 30
"""And within so many, copies included: here they go one tiny part at a time."""


class Outcome(Struct, kw_only=True):
    """What became of one schedule."""

    seed: int
    rule: str = ""
    why: str = ""
    events: int = 0
    virtual_ms: int = 0
    operations: int = 0
    both_checked: int = 0
    timeouts_to_trade: float = 0.0
    reached: dict[str, int] = {}
    odd: int = 0
    """Messages lost, doubled or delayed beyond the usual."""
    trace: str = ""


class Schedule:
    """A world with its faults and clients."""

    def __init__(
        self,
        plan: Plan,
        keep: frozenset[str] | None = None,
        *,
        trace: bool = False,
        world: type[World] = World,
    ):
        self.plan = plan
        self.world = world(plan, keep, trace=trace)
        self.faults = Faults(self.world)
        self.clients = Clients(self.world)
        self.waited = 0.0
        self.both = 0

    def play(self) -> None:
        """Raises Violation."""
        world, plan = self.world, self.plan
        for number in range(plan.peers):
            world.start(number)
        world.run(plan.length)
        self.faults.end()
        world.run(world.now)  # who wakes may have been told to leave meanwhile
        core = heal(world)
        self._live(core)
        self.both = self.judge()
        world.checkers.committed.end()

    def _live(self, core: list[int]) -> None:
        """A trader, then fresh commands through it and each that reaches it."""
        world, timeout = self.world, self.plan.timing.heartbeat_timeout
        self._elect()
        world.run(world.now + 4 * timeout)
        if core:
            self._wished()  # first: who is removed meanwhile answers no client any more
        members = {member.id for member in world.checkers.committed.members.members}
        self._answered([life for life in core if life in members])

    def _answered(self, core: list[int]) -> None:
        """Two fresh keys are executed, and a fresh number where a session can be had (R13).

        One after the other, and with pauses that are no fraction of what a key is remembered for:
        clients that come again just as a tiny table has room fill it with what they gave up.
        """
        self._keys_answered(core)
        for attempt in range(ROUNDS):
            self._ask_at(core)
            if self._number_answered(attempt):
                self.world.reach("fresh_number_answered")
                return
            if not self._session_to_be_had():
                self.world.reach("no_session_left")
                return
            self._pause()
        raise Violation("G4", "a fresh number of a client's session is not executed")

    def _wished(self) -> None:
        """The members come to be those wished for: voters all, on volumes that are there (R10)."""
        world, joining = self.world, self.world.joining
        members = world.checkers.committed.members
        for _ in range(WISH_ROUNDS):
            members = world.checkers.committed.members
            lives = [m.id for m in members.members if m.voter and not world.hosts[m.id].gone]
            if [ordinal_of(life) for life in lives] == list(range(joining.size)):
                world.reach("wish_fulfilled")
                return
            world.run(world.now + self.plan.timing.heartbeat_timeout)
        raise Violation("G4", f"wished for {joining.size} peers, members are {members}")

    def _keys_answered(self, core: list[int]) -> None:
        left = 2
        for attempt in range(ROUNDS):
            fresh = self._fresh(core, left, attempt)
            self._settled(fresh)
            left = sum(1 for operation in fresh if operation.status != Status.OK)
            if not left:
                return
            self._pause()
        raise Violation("G4", f"{left} fresh keys are not executed")

    def _number_answered(self, attempt: int) -> bool:
        """Send a fresh number in a client's session that has room; without one, open one.

        Every second attempt opens one always: an old one may idle out before each of them.
        """
        clients = self.clients
        usable = [session for session in clients.sessions if clients.room(session)]
        if usable and attempt % 2 == 0:
            return self._settled([clients.number(usable[-1])])
        before = len(clients.history)
        opened = clients.session(1000 + attempt, self.plan.seed + attempt)
        self._settled([clients.history[before]])
        sent = [o for o in clients.history[before:] if o.session is opened]
        numbers = [o for o in sent if "number" in o.command]
        return bool(numbers) and self._settled(numbers[:1])

    def _settled(self, operations: list[Operation]) -> bool:
        """Wait until all are done; tell whether all were executed."""
        world = self.world
        while any(not operation.done for operation in operations):
            world.run(world.now + self.plan.timing.heartbeat_timeout)
        return all(operation.status == Status.OK for operation in operations)

    def _pause(self) -> None:
        """Wait until a round's first entry brings all the log time that one entry may (R13 d)."""
        retention = self.plan.limits.key_retention_ms * MS
        self.world.run(self.world.now + retention * 3 // 5)

    def _session_to_be_had(self) -> bool:
        """Clients that died with theirs, or never heard of it, may hold all that there are."""
        tables, known = self.world.checkers.committed.state.sessions, self.clients.sessions
        alive = any(session.id in tables.sessions for session in known)
        return alive or tables.client_count < self.plan.limits.sessions

    def _elect(self) -> None:
        """Wait for a trader, as long as it may take."""
        world, timeout = self.world, self.plan.timing.heartbeat_timeout
        end, looks, bound = world.now + PATIENCE * timeout, 0, self._bound()
        while not any(h.peer and h.peer.is_trader for h in world.traders()):
            looks += not self._copying()
            self.waited = looks / LOOKS
            in_time = self.waited <= bound and world.now < end
            must(in_time, "G4", f"no trader within {bound:.2f} election timeouts of healing")
            world.run(world.now + timeout // LOOKS)

    def _bound(self) -> float:
        """Return G4's bound: a step that is wide beside the timeout lets turns come later."""
        timing = self.plan.timing
        turns = (len(self.faults.lives()) - 1) * timing.step / timing.heartbeat_timeout
        return BOUND - 1 + max(1.0, turns)

    def _copying(self) -> bool:
        """Tell whether the next reign waits for a copy, which takes as long as its size says."""
        peers = [h.peer for h in self.world.hosts.values() if h.peer is not None]
        return any(
            (p.role is Role.NOMINEE and p.nominee.source != NOBODY)
            or (p.role is Role.TRADER and (p.copying.sending or _catching_up(p.trader_role)))
            for p in peers
        )

    def _fresh(self, core: list[int], count: int, attempt: int = 0) -> list[Operation]:
        self._ask_at(core)
        return [self.clients.key(1000 + 10 * attempt + n, n) for n in range(count)]

    def _ask_at(self, core: list[int]) -> None:
        """Send the clients to these, or to whoever trades: one that stays, if there is one."""
        traders = [h for h in self.world.traders() if h.peer and h.peer.is_trader]
        staying = [h.id for h in traders if h.peer and h.peer.is_ready()]
        self.clients.targets = core or staying or [h.id for h in traders]

    def judge(self) -> int:
        """Judge the clients' history by both checkers; return how many operations both saw."""
        counter = self.plan.machine == "counter"
        history = [_seen(o, counter) for o in self.clients.history if _counts(o)]
        wrong = wrong_by_index(history)
        must(not wrong, "S9", wrong)
        if counter and not self.plan.mixed and len(history) <= SMALL:
            wrong = wrong_by_order(history)
            must(not wrong, "S9", wrong)
            return len(history)
        return 0


def _catching_up(trader: Trader) -> bool:
    """Tell whether a follower that has answered still lacks records of earlier reigns."""
    return any(p.round and p.match + 1 < trader.started for p in trader.progress.values())


def _counts(operation: Operation) -> bool:
    """Leave out reads by index, sessions' opening, and what certainly did not happen."""
    command = operation.command
    if "linearizable" in command:
        return bool(command["linearizable"]) and operation.returned >= 0
    return command["kind"] == msg.COMMAND and operation.status != Status.OTHER_BODY


def _seen(operation: Operation, counter: bool) -> Seen:
    amount = value = 0
    if "linearizable" not in operation.command:
        amount = msgspec.msgpack.decode(operation.body)[1] if counter else 1
        value = msgspec.json.decode(operation.value).get("value", 0) if operation.value else 0
    elif counter:
        value = int(operation.value)
    return Seen(operation.invoked, operation.returned, operation.index, amount, value)


def play(
    seed: int,
    peers: int = 0,
    *,
    plan: Plan | None = None,
    keep: frozenset[str] | None = None,
    hashed: bool = False,
) -> Outcome:
    """Play one schedule, drawn or given; a violation is part of the outcome."""
    schedule = Schedule(plan or draw(seed, peers), keep)
    world, outcome = schedule.world, Outcome(seed=seed)
    world.hashed = hashed
    try:
        schedule.play()
    except Violation as violation:
        outcome.rule, outcome.why = violation.rule, str(violation)
    except Exception as error:  # a core that raises is a finding like any other
        outcome.rule, outcome.why = "raised", f"{type(error).__name__}: {error}"
    outcome.events, outcome.virtual_ms = world.events, world.now // 10**6
    outcome.operations, outcome.both_checked = len(schedule.clients.history), schedule.both
    outcome.timeouts_to_trade, outcome.reached = schedule.waited, world.reached
    outcome.odd = world.network.counted
    outcome.trace = world.digest.hexdigest() if hashed else ""
    return outcome
