"""The audit's own reading of a history: what took effect, entry by entry."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from bazaar_peer.command.audit import Report
from bazaar_peer.command.replay import Replay
from bazaar_peer.core import messages as msg
from bazaar_peer.core.journal import store
from bazaar_peer.core.machine import Context, Machine
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.sessions import Outcome, Sessions
from bazaar_peer.core.state import State
from bazaar_peer.core.types import Limits
from bazaar_peer.core.vector_clock import sealed
from bazaar_peer.market.commands import Deposit, Order, encode_command
from bazaar_peer.market.market import Market

BUYER = "load"


class Line:
    """A history in the making."""

    def __init__(self) -> None:
        members = tuple(msg.Member(peer) for peer in range(3))
        self.stored: list[msg.Stored] = []
        self.add(msg.MembersChanged(members, "ring", Limits(), b""), epoch=0)
        self.add(msg.EpochStarted(0))
        self.add(self.submission(-1, 1, 1, "", kind=msg.OPEN_PEER, client="0.0"))

    def add(self, *entries: msg.Entry, epoch: int = 1) -> None:
        chain = self.stored[-1].chain if self.stored else b""
        first = self.stored[-1].last + 1 if self.stored else 1
        self.stored.append(store(msg.Record(epoch, first, first - 1, 0, {}, list(entries)), chain))

    def submission(
        self,
        session: int,
        number: int,
        floor: int,
        key: str,
        *,
        body: bytes = b"",
        kind: int = msg.COMMAND,
        client: str = BUYER,
        stamp: int = 0,
    ) -> msg.Submission:
        head = (session, number, floor, kind, client, key)
        return msg.Submission(*head, 0, 0, *sealed({0: stamp or number}), body)

    def replayed(self) -> Replay:
        report = Report()
        replay = Replay(report)
        replay.run(self.stored, [])
        assert report.violations == []
        return replay


SESSION = 3
SALT = encode_command(Deposit("salt", 10, 1, "ali"))
ONE = encode_command(Order("salt", 1, BUYER))


def test_an_order_counts_whose_result_a_later_one_of_its_batch_lets_go() -> None:
    """Its peer had given it up at its deadline, and raised the floor with the next order."""
    line = Line()
    line.add(line.submission(SESSION, 1, 1, "stock", body=SALT))
    line.add(
        line.submission(SESSION, 2, 2, "given-up", body=ONE),
        line.submission(SESSION, 3, 3, "next", body=ONE),
    )
    replay = line.replayed()
    assert replay.times[BUYER, "given-up"] == 1
    assert replay.times[BUYER, "next"] == 1
    assert replay.entries == {"commands": 3, "reigns": 1, "sessions and versions": 1}


def test_an_order_that_comes_again_counts_once() -> None:
    line = Line()
    line.add(line.submission(SESSION, 1, 1, "stock", body=SALT))
    line.add(line.submission(SESSION, 2, 2, "one", body=ONE))
    line.add(
        line.submission(SESSION, 2, 2, "one", body=ONE),  # by its number
        line.submission(SESSION, 3, 3, "one", body=ONE),  # by its key
    )
    replay = line.replayed()
    assert replay.times[BUYER, "one"] == 1
    assert replay.entries["repeats and refusals"] == 2


def test_a_number_that_came_too_early_leaves_its_outcome_to_when_it_was_executed() -> None:
    """Beyond the window it is nothing; then the floor rises, by what has no outcome either."""
    line, far = Line(), Limits().peer_window + 1
    line.add(line.submission(SESSION, 1, 1, "stock", body=SALT))
    line.add(
        line.submission(SESSION, far, 1, "far", body=ONE, stamp=2),
        line.submission(SESSION, 1, 2, "stock", body=SALT, stamp=2),
        line.submission(SESSION, far, 2, "far", body=ONE, stamp=2),
    )
    replay = line.replayed()
    assert replay.times[BUYER, "far"] == 1
    assert replay.executed[SESSION, far] == 7
    assert replay.entries["repeats and refusals"] == 2


def test_a_number_that_was_executed_twice_in_one_batch_is_found() -> None:
    """S6. The planted bug: an entry is executed, its number forgotten, and executed again."""

    class Twice(Sessions):
        def execute(self, sub: msg.Submission, machine: Machine, at: Context) -> Outcome | None:
            if sub.key == "one" and (found := self.sessions[sub.session].results):
                found.clear()
                self.keys.clear()
            return super().execute(sub, machine, at)

    line = Line()
    line.add(line.submission(SESSION, 1, 1, "stock", body=SALT))
    one = line.submission(SESSION, 2, 1, "one", body=ONE)
    line.add(one, one)
    report = Report()
    replay = Replay(report)
    replay.state.sessions = Twice()
    replay.run(line.stored, [])
    assert "number 2 of session 3 took effect at index 5 and again at 6 (S6)" in report.violations


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            msg.Answer(SESSION, 1, 0, Status.OK, 4, 1, b""),
            "at index 4 has 2 outcomes of 1 commands",
        ),
        (msg.Answer(SESSION, 1, 0, Status.OK, 9, 1, b""), "took effect at 9, behind its end"),
        (msg.Answer(SESSION, 1, 5, Status.OK, 4, 1, b""), "at index 4 that does not stand there"),
    ],
)
def test_an_outcome_that_is_left_over_is_found(more: msg.Answer, said: str) -> None:
    """S6. The planted bug: more took effect than stands in the batch."""

    class More(State):
        def apply(
            self, record: msg.Record, chain: bytes, wanted: Collection[int] | None = None
        ) -> list[msg.Answer]:
            found = super().apply(record, chain, wanted)
            return [*found, more] if record.first == 4 else found

    line, report = Line(), Report()
    line.add(line.submission(SESSION, 1, 1, "stock", body=SALT))
    replay = Replay(report)
    replay.state = More(Market)
    replay.run(line.stored, [])
    assert any(said in one for one in report.violations), report.violations
