"""The applied state: the same bytes on every peer, from the journal or from a checkpoint (S10)."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazaar_peer.core.journal import store
from bazaar_peer.core.messages import (
    COMMAND,
    OPEN_PEER,
    OPEN_SESSION,
    Answer,
    Entry,
    EpochStarted,
    Member,
    MembersChanged,
    Record,
    Submission,
    VersionRaised,
)
from bazaar_peer.core.state import FORMAT, State
from bazaar_peer.core.types import Limits, peer_id
from bazaar_peer.core.vector_clock import sealed
from bazaar_peer.core.waiting import digest_of
from bazaar_peer.simulation.counter import Add, Counter, encode_add

GENESIS = MembersChanged((Member(0), Member(1)), "r", Limits(), b"100")


def command(number: int, amount: int = 1, session: int = 2, key: str = "") -> Submission:
    body = encode_add(Add(amount))
    digest = digest_of(COMMAND, body)
    return Submission(
        session, number, 1, COMMAND, "c", key, digest, 0, *sealed({65536: number}), body
    )


def opening(peer: int) -> Submission:
    return Submission(-1 - peer, 1, 1, OPEN_PEER, f"{peer}.0", "", 0, 0, *sealed({}), b"")


class History:
    """Records one behind the other, applied as they are made."""

    def __init__(self) -> None:
        self.state = State(Counter)
        self.chain = b""
        self.add(0, [GENESIS])
        self.add(1, [opening(0)])

    def add(self, epoch: int, entries: list[Entry], elapsed: int = 0) -> list[Answer]:
        clock = {65536: self.state.index + 1}
        record = Record(epoch, self.state.index + 1, 0, elapsed, clock, entries)
        stored = store(record, self.chain)
        self.chain = stored.chain
        return self.state.apply(record, stored.chain)


def copy_of(state: State) -> State:
    copy = State(Counter)
    for part in state.snapshot():
        copy.restore(part)
    return copy


entries = st.lists(
    st.one_of(
        st.builds(
            command,
            st.integers(1, 6),
            st.integers(-3, 3),
            st.sampled_from([2, 2, 2, 9]),
            st.sampled_from(["", "k", "l"]),
        ),
        st.builds(opening, st.integers(0, 1)),
        st.builds(EpochStarted, st.integers(0, 1)),
        st.builds(VersionRaised, st.integers(1, 3)),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=40)
@given(st.lists(entries, max_size=5), st.lists(entries, max_size=5))
def test_state_from_a_checkpoint_goes_on_as_the_one_that_it_was_taken_from(
    before: list[list[Entry]], after: list[list[Entry]]
) -> None:
    history = History()
    for batch in before:
        history.add(1, batch, elapsed=700)

    copied = copy_of(history.state)
    other = History()
    other.state, other.chain = copied, history.chain

    assert list(copied.snapshot()) == list(history.state.snapshot())
    for batch in after:
        assert other.add(2, batch, elapsed=900) == history.add(2, batch, elapsed=900)
    assert other.state.full_hash() == history.state.full_hash()
    assert other.state.hash == history.state.hash


def test_snapshot_is_of_the_moment_of_the_call() -> None:
    """However late its parts are drawn (C2)."""
    history = History()
    history.add(1, [command(1, 5)])
    parts = history.state.snapshot()
    then = history.state.full_hash()

    history.add(1, [command(2, 7, key="k")], elapsed=5_000)
    copy = State(Counter)
    for part in parts:
        copy.restore(part)

    assert copy.full_hash() == then != history.state.full_hash()
    assert copy.index == 3


def test_every_outcome_moves_the_hash_of_all_that_follows() -> None:
    """H1: who differs once differs in every later report."""
    one, other = History(), History()

    one.add(1, [command(1, 1)])
    other.add(1, [command(1, 2)])
    for history in (one, other):
        history.add(1, [EpochStarted(0)])

    assert one.state.hash != other.state.hash


def test_recovered_ring_forgets_who_asked_and_who_was_of_the_former_one() -> None:
    """R14: new lives under a new ring id; what clients did stays."""
    history = History()
    history.add(1, [command(1, 5, key="k"), opening(1)])
    admission = history.state.sessions.admission
    admission.size, admission.joins = 3, {1: ("asks-the-former-ring", 0)}
    lives = tuple(Member(peer_id(ordinal, 4)) for ordinal in range(2))

    history.add(8, [MembersChanged(lives, "new", Limits(), b"100", (), "r:5")])

    assert history.state.members is not None
    assert (history.state.members.ring, history.state.members.recovered_from) == ("new", "r:5")
    assert (admission.size, admission.joins) == (2, {})
    assert admission.lives == {"0.4", "1.4"}
    assert (history.state.sessions.peers, history.state.sessions.sessions) == ({}, {})
    assert history.state.lookup_key("c", "k") is not None
    assert list(copy_of(history.state).snapshot()) == list(history.state.snapshot())


def test_genesis_configures_the_machine_and_later_members_do_not() -> None:
    history = History()
    history.add(1, [command(1, 5)])

    history.add(1, [MembersChanged((Member(0),), "r", Limits(), b"999")])

    machine = history.state.machine
    assert isinstance(machine, Counter)
    assert machine.value == 105
    assert history.state.members is not None
    assert [m.id for m in history.state.members.members] == [0]


def test_clock_of_the_state_is_the_merge_of_all_records() -> None:
    """T5: who has applied an index is causally behind all up to it."""
    history = History()

    history.add(1, [command(1)])

    assert history.state.clock == {65536: 3}
    assert copy_of(history.state).clock == history.state.clock


def test_version_in_force_never_falls() -> None:
    """U1."""
    history = History()

    history.add(1, [VersionRaised(3)])
    history.add(1, [VersionRaised(2)])

    assert history.state.version == 3


def test_every_submission_with_an_outcome_is_answered_in_order() -> None:
    history = History()

    answers = history.add(
        1, [command(2), EpochStarted(1), command(1), command(2), command(1, 0, 9)]
    )

    assert [(a.session, a.number, a.index) for a in answers] == [
        (2, 2, 3),
        (2, 1, 5),
        (2, 2, 3),
        (9, 1, 7),
    ]


def test_looking_up_finds_what_numbers_and_keys_came_to() -> None:
    history = History()
    told = history.add(1, [command(1, 4, key="k")])[0]

    number, key = history.state.lookup_number(2, 1), history.state.lookup_key("c", "k")

    assert number == (told.digest, told.status, told.index, told.epoch, told.body)
    assert key is not None
    assert key[:4] == (told.digest, told.index, told.epoch, told.body)
    assert history.state.lookup_number(2, 9) is None
    assert history.state.lookup_key("other", "k") is None


def test_session_that_a_client_opened_is_named_by_its_index() -> None:
    history = History()
    opened = Submission(2, 1, 1, OPEN_SESSION, "c", "", 1, 0, *sealed({}), b"")

    answer = history.add(1, [opened])[0]

    assert msgspec.json.decode(answer.body) == {"outcome": "opened", "session": answer.index}


def test_checkpoint_of_an_unknown_format_is_refused() -> None:
    history = History()
    head = next(history.state.snapshot())
    fields = msgspec.msgpack.decode(head[1:])
    fields[0] = FORMAT + 1

    with pytest.raises(ValueError, match=f"format {FORMAT + 1}"):
        State(Counter).restore(b"h" + msgspec.msgpack.encode(fields))
