"""Exactly once (R13 a–d) against a naive model, with snapshots taken at any point."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bazaar_peer.core.machine import Context, Machine
from bazaar_peer.core.messages import (
    CLOSE_SESSION,
    COMMAND,
    OPEN_PEER,
    OPEN_SESSION,
    Submission,
)
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.sessions import SWEEP_MS, Outcome, Sessions
from bazaar_peer.core.types import Limits
from bazaar_peer.core.vector_clock import sealed
from bazaar_peer.core.waiting import digest_of

LIMITS = Limits(
    sessions=2,
    peer_window=5,
    client_window=3,
    keys=3,
    key_retention_ms=2_000,
    session_retention_ms=6_000,
)


class Recorder(Machine):
    """Remembers where it executed what."""

    def __init__(self) -> None:
        self.done: list[tuple[int, bytes]] = []

    def configure(self, settings: bytes) -> None:
        pass

    def apply(self, body: bytes, context: Context) -> bytes:
        self.done.append((context.index, body))
        return b"done %s at %d" % (body, context.index)

    def snapshot(self) -> Iterator[bytes]:
        return iter(())

    def restore(self, part: bytes) -> None:
        pass


def submission(
    session: int,
    number: int,
    *,
    floor: int = 1,
    kind: int = COMMAND,
    client: str = "c",
    key: str = "",
    body: bytes = b"x",
    received: int = 0,
) -> Submission:
    digest = digest_of(kind, body)
    return Submission(
        session, number, floor, kind, client, key, digest, received, *sealed({}), body
    )


def at(index: int, epoch: int = 1) -> Context:
    context = Context()
    context.index, context.epoch = index, epoch
    return context


def tables(limits: Limits = LIMITS) -> tuple[Sessions, Recorder, int]:
    """Return tables with one peer's session, opened at index 1."""
    sessions, machine = Sessions(), Recorder()
    sessions.limits = limits
    opened = sessions.execute(submission(-1, 1, kind=OPEN_PEER, client="0.1"), machine, at(1))
    assert opened is not None
    return sessions, machine, opened[2]


def status(outcome: Outcome | None) -> Status | None:
    return None if outcome is None else Status(outcome[1])


def restored(sessions: Sessions) -> Sessions:
    copy = Sessions()
    for part in sessions.snapshot():
        copy.restore(part)
    return copy


# ---- the model -----------------------------------------------------------------------------------


@dataclass
class ModelSession:
    owner: int
    window: int
    touched: int
    floor: int = 1
    results: dict[int, Outcome] = field(default_factory=dict)


@dataclass
class Remembered:
    name: tuple[str, str]
    outcome: Outcome
    time: int


@dataclass
class Model:
    """R13 word by word, with lists that are scanned; `executed` is what took effect."""

    time: int = 0
    swept: int = 0
    sessions: dict[int, ModelSession] = field(default_factory=dict)
    boots: dict[str, tuple[int, int]] = field(default_factory=dict)
    keys: list[Remembered] = field(default_factory=list)
    executed: list[int] = field(default_factory=list)

    def advance(self, elapsed: int) -> None:
        self.time += elapsed
        self.keys = [k for k in self.keys if self.time - k.time <= LIMITS.key_retention_ms]
        if self.time - self.swept >= SWEEP_MS:
            self.swept = self.time
            self.sessions = {
                number: s
                for number, s in self.sessions.items()
                if s.owner >= 0 or self.time - s.touched <= LIMITS.session_retention_ms
            }

    def clients(self) -> int:
        return sum(s.owner < 0 for s in self.sessions.values())

    def execute(self, sub: Submission, index: int) -> Outcome | None:
        if sub.kind == OPEN_PEER:
            return self.open_peer(sub, index)
        session = self.sessions.get(sub.session)
        if session is None:
            return (sub.digest, Status.NO_SESSION, index, 1, b"")
        session.touched = self.time
        session.floor = max(session.floor, sub.floor)
        session.results = {n: r for n, r in session.results.items() if n >= session.floor}
        if sub.number in session.results:
            return session.results[sub.number]
        if sub.number < session.floor or sub.number >= session.floor + session.window:
            return None
        outcome = self.keyed(sub, index) if sub.key else self.run(sub, index)
        session.results[sub.number] = outcome
        return outcome

    def keyed(self, sub: Submission, index: int) -> Outcome:
        name = (sub.client, sub.key)
        for known in self.keys:
            if known.name == name:
                same = known.outcome[0] == sub.digest
                return (sub.digest, Status.OK if same else Status.OTHER_BODY, *known.outcome[2:])
        if self.time - sub.received > LIMITS.key_retention_ms:
            return (sub.digest, Status.EXPIRED, index, 1, b"")
        if len(self.keys) >= LIMITS.keys:
            return (sub.digest, Status.KEYS_FULL, index, 1, b"")
        outcome = self.run(sub, index)
        if outcome[1] == Status.OK:
            self.keys.append(Remembered(name, outcome, self.time))
        return outcome

    def run(self, sub: Submission, index: int) -> Outcome:
        if sub.kind == COMMAND:
            self.executed.append(index)
            return (sub.digest, Status.OK, index, 1, b"done %s at %d" % (sub.body, index))
        if sub.kind == CLOSE_SESSION:
            target = int(sub.body)
            if target not in self.sessions or self.sessions[target].owner >= 0:
                return (sub.digest, Status.NO_SESSION, index, 1, b"")
            del self.sessions[target]
            body = b'{"outcome":"closed","session":%d}' % target
            return (sub.digest, Status.OK, index, 1, body)
        if self.clients() >= LIMITS.sessions:
            return (sub.digest, Status.SESSIONS_FULL, index, 1, b"")
        self.sessions[index] = ModelSession(-1, LIMITS.client_window, self.time)
        return (sub.digest, Status.OK, index, 1, b'{"outcome":"opened","session":%d}' % index)

    def open_peer(self, sub: Submission, index: int) -> Outcome | None:
        boot, session = self.boots.get(sub.client, (0, 0))
        if sub.number < boot:
            return None
        if sub.number > boot:
            self.sessions.pop(session, None)
            owner = int(sub.client.partition(".")[0])
            self.sessions[index] = ModelSession(owner, LIMITS.peer_window, self.time)
            self.boots[sub.client] = (sub.number, index)
        return (sub.digest, Status.OK, self.boots[sub.client][1], 1, b"")


class SessionsAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.real, self.machine = Sessions(), Recorder()
        self.real.limits = LIMITS
        self.model = Model()
        self.index = 0
        self.floors: dict[int, int] = {}

    def both(self, sub: Submission) -> None:
        self.index += 1
        found = self.real.execute(sub, self.machine, at(self.index))
        assert found == self.model.execute(sub, self.index)

    def a_session(self, data: st.DataObject) -> int:
        """One that is there, mostly; the newest of all are the likeliest."""
        known = [0, *self.floors, *self.model.sessions, *self.model.sessions]
        return data.draw(st.sampled_from(known))

    @rule(
        data=st.data(),
        number=st.integers(0, 8),
        floor=st.integers(0, 5),
        key=st.sampled_from(["", "", "k1", "k2", "k3", "k4"]),
        client=st.sampled_from(["ann", "bob"]),
        body=st.sampled_from([b"x", b"y"]),
        age=st.sampled_from([0, 0, 0, 1_500, 2_001]),
    )
    def command(
        self,
        data: st.DataObject,
        number: int,
        floor: int,
        key: str,
        client: str,
        body: bytes,
        age: int,
    ) -> None:
        received = self.model.time - age
        self.both(
            submission(
                self.a_session(data),
                number,
                floor=floor,
                client=client,
                key=key,
                body=body,
                received=received,
            )
        )

    @rule(data=st.data(), number=st.integers(1, 6), key=st.sampled_from(["", "open"]))
    def open_session(self, data: st.DataObject, number: int, key: str) -> None:
        received = self.model.time
        self.both(
            submission(self.a_session(data), number, kind=OPEN_SESSION, key=key, received=received)
        )

    @rule(data=st.data(), number=st.integers(1, 6))
    def close_session(self, data: st.DataObject, number: int) -> None:
        body = b"%d" % self.a_session(data)
        self.both(submission(self.a_session(data), number, kind=CLOSE_SESSION, body=body))

    @rule(peer=st.integers(0, 1), boot=st.integers(1, 4))
    def peer_boots(self, peer: int, boot: int) -> None:
        self.both(submission(-1, boot, kind=OPEN_PEER, client=f"{peer}.1"))

    @rule(elapsed=st.sampled_from([0, 1, 500, 1_000, 2_000, 6_001]))
    def time_passes(self, elapsed: int) -> None:
        self.real.advance(elapsed)
        self.model.advance(elapsed)

    @rule()
    def goes_on_from_a_snapshot(self) -> None:
        copy = restored(self.real)
        assert list(copy.snapshot()) == list(self.real.snapshot())
        self.real = copy

    @invariant()
    def executed_the_same(self) -> None:
        assert [index for index, _ in self.machine.done] == self.model.executed

    @invariant()
    def tables_agree(self) -> None:
        assert list(self.real.sessions) == list(self.model.sessions)
        assert [(k, v[1]) for k, v in self.real.keys.items()] == [
            (k.name, k.outcome[2]) for k in self.model.keys
        ]
        assert self.real.client_count == self.model.clients()

    @invariant()
    def floors_never_fall(self) -> None:
        for number, session in self.real.sessions.items():
            assert session.floor >= self.floors.get(number, 1)
            assert all(n >= session.floor for n in session.results)
            self.floors[number] = session.floor


SessionsAgainstModel.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
TestSessionsAgainstModel = SessionsAgainstModel.TestCase


# ---- single facts --------------------------------------------------------------------------------


def test_number_is_executed_once_and_answered_the_same_for_ever() -> None:
    sessions, machine, own = tables()

    first = sessions.execute(submission(own, 1), machine, at(2))
    again = sessions.execute(submission(own, 1), machine, at(9, epoch=3))

    assert first == again
    assert machine.done == [(2, b"x")]


def test_number_that_comes_after_higher_ones_is_executed() -> None:
    """Row 62: only the client's word raises the floor."""
    sessions, machine, own = tables()

    sessions.execute(submission(own, 3), machine, at(2))
    late = sessions.execute(submission(own, 1), machine, at(3))

    assert status(late) is Status.OK


def test_resubmission_with_a_lower_floor_does_not_lower_it() -> None:
    """Row 83."""
    sessions, machine, own = tables()

    sessions.execute(submission(own, 4, floor=4), machine, at(2))
    below = sessions.execute(submission(own, 2, floor=1), machine, at(3))

    assert below is None
    assert sessions.sessions[own].floor == 4


def test_number_beyond_the_window_executes_and_tells_nothing() -> None:
    sessions, machine, own = tables()

    assert sessions.execute(submission(own, 1 + LIMITS.peer_window), machine, at(2)) is None
    assert machine.done == []


def test_window_of_an_unanswered_number_moves_when_it_is_given_up() -> None:
    """Row 82: a number given up at its deadline holds nobody up."""
    sessions, machine, own = tables()
    beyond = 1 + LIMITS.peer_window

    given_up = sessions.execute(submission(own, beyond, floor=2), machine, at(2))

    assert status(given_up) is Status.OK


def test_refusal_of_a_number_is_kept() -> None:
    """Row 84: when there is room again, the same number is still refused."""
    sessions, machine, own = tables()
    for number in range(1, 4):
        sessions.execute(submission(own, number, key=f"k{number}"), machine, at(1 + number))

    full = sessions.execute(submission(own, 4, key="k4"), machine, at(5))
    sessions.advance(LIMITS.key_retention_ms + 1)
    received = sessions.log_time
    again = sessions.execute(submission(own, 4, key="k4"), machine, at(6))
    anew = sessions.execute(submission(own, 5, key="k4", received=received), machine, at(7))

    assert (status(full), again, status(anew)) == (Status.KEYS_FULL, full, Status.OK)


def test_key_is_forgotten_only_when_more_than_its_retention_has_gone_by() -> None:
    """Row 81: exactly `key.retention` later it is neither forgotten nor executed anew."""
    sessions, machine, own = tables()
    sessions.execute(submission(own, 1, key="k"), machine, at(2))

    sessions.advance(LIMITS.key_retention_ms)
    known = sessions.execute(submission(own, 2, key="k", received=0), machine, at(3))
    sessions.advance(1)
    gone = sessions.execute(submission(own, 3, key="k", received=0), machine, at(4))

    assert known is not None
    assert (known[1], known[2]) == (Status.OK, 2)
    assert status(gone) is Status.EXPIRED
    assert len(machine.done) == 1


def test_key_through_another_session_gives_the_first_outcome() -> None:
    """Row 24: two ingress peers, one key."""
    sessions, machine, own = tables()
    other = sessions.execute(submission(-1, 1, kind=OPEN_PEER, client="1.1"), machine, at(2))
    assert other is not None

    first = sessions.execute(submission(own, 1, key="k"), machine, at(3))
    second = sessions.execute(submission(other[2], 1, key="k"), machine, at(4))
    changed = sessions.execute(submission(other[2], 2, key="k", body=b"y"), machine, at(5))

    assert first == second
    assert status(changed) is Status.OTHER_BODY
    assert machine.done == [(3, b"x")]


def test_same_key_of_two_clients_is_two_keys() -> None:
    sessions, machine, own = tables()

    sessions.execute(submission(own, 1, client="ann", key="k"), machine, at(2))
    sessions.execute(submission(own, 2, client="bob", key="k"), machine, at(3))

    assert [index for index, _ in machine.done] == [2, 3]


def test_older_boot_opens_nothing_and_the_same_boot_gets_its_session() -> None:
    """Row 85."""
    sessions, machine, own = tables()

    newer = sessions.execute(submission(-1, 2, kind=OPEN_PEER, client="0.1"), machine, at(2))
    same = sessions.execute(submission(-1, 2, kind=OPEN_PEER, client="0.1"), machine, at(3))
    older = sessions.execute(submission(-1, 1, kind=OPEN_PEER, client="0.1"), machine, at(4))
    late = sessions.execute(submission(own, 1), machine, at(5))

    assert newer is not None
    assert same is not None
    assert newer[2] == same[2] == 2
    assert older is None
    assert status(late) is Status.NO_SESSION
    assert machine.done == []


def test_session_of_a_peer_never_idles_out() -> None:
    """Row 86."""
    sessions, machine, own = tables()
    opened = sessions.execute(submission(own, 1, kind=OPEN_SESSION), machine, at(2))
    assert opened is not None

    sessions.advance(LIMITS.session_retention_ms + 1)

    assert list(sessions.sessions) == [own]
    assert status(sessions.execute(submission(2, 1), machine, at(3))) is Status.NO_SESSION
    assert status(sessions.execute(submission(own, 2), machine, at(4))) is Status.OK


def test_more_sessions_than_the_limit_are_refused_until_one_is_closed() -> None:
    sessions, machine, own = tables()
    opens = [
        status(sessions.execute(submission(own, n, kind=OPEN_SESSION), machine, at(1 + n)))
        for n in (1, 2, 3)
    ]

    closed = sessions.execute(submission(own, 4, kind=CLOSE_SESSION, body=b"2"), machine, at(5))
    anew = sessions.execute(submission(own, 5, kind=OPEN_SESSION), machine, at(6))

    assert opens == [Status.OK, Status.OK, Status.SESSIONS_FULL]
    assert (status(closed), status(anew)) == (Status.OK, Status.OK)


def test_nobody_closes_the_session_of_a_peer() -> None:
    sessions, machine, own = tables()

    for number, body in enumerate((b"%d" % own, b"77", b"", b"-1", b"one"), 1):
        refused = sessions.execute(
            submission(own, number, kind=CLOSE_SESSION, body=body), machine, at(1 + number)
        )

        assert status(refused) is Status.NO_SESSION
    assert list(sessions.sessions) == [own]
