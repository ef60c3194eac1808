"""Exactly once (R13 a–d): numbered sessions and remembered keys, part of the replicated state.

A session is named by the index of the entry that opened it. Results of [floor, floor + window)
are kept, refusals too, so that a number takes effect at most once and is answered the same for
ever; below the floor and beyond the window nothing is executed *and nothing is answered*, since an
answer that is not kept could be contradicted by a late duplicate. Log time, not a clock, decides
what is forgotten.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from bazaar_peer.core.admission import Admission
from bazaar_peer.core.machine import Context, Machine
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.records import CLOSE_SESSION, COMMAND, JOIN, OPEN_PEER, SET_SIZE, Submission
from bazaar_peer.core.types import Limits

Outcome: TypeAlias = tuple[int, int, int, int, bytes]
"""(digest, status, index, epoch, body): what a number came to, and where."""
Known: TypeAlias = tuple[int, int, int, bytes, int]
"""(digest, index, epoch, body, log time of the execution): what a key came to."""

FORGET_MAX = 256
"""Keys forgotten with one record: a burst of keys that age together must not stall a peer (N8)."""
DIGITS_MAX = 20
SWEEP_MS = 1000
"""Idle sessions are looked for once in so much log time."""


class Session:
    """`owner`: a peer's id, or -1 for a client's session; `floor` never falls."""

    __slots__ = ("floor", "owner", "results", "touched", "window")

    def __init__(self, owner: int, window: int, touched: int) -> None:
        self.owner = owner
        self.window = window
        self.touched = touched
        self.floor = 1
        self.results: dict[int, Outcome] = {}

    def raise_floor(self, floor: int) -> None:
        results = self.results
        if floor - self.floor > len(results):
            self.results = {n: result for n, result in results.items() if n >= floor}
        else:
            for number in range(self.floor, floor):
                results.pop(number, None)
        self.floor = floor


class Sessions:
    """The tables, and `execute`: the only way from a submission to the machine."""

    def __init__(self) -> None:
        self.limits = Limits()
        self.log_time = 0
        self.swept = 0
        self.client_count = 0
        self.sessions: dict[int, Session] = {}
        self.peers: dict[str, tuple[int, int]] = {}
        """Component name → (boot number, session) of each peer's own session."""
        self.admission = Admission()
        self.keys: dict[tuple[str, str], Known] = {}
        self.ages: deque[tuple[str, str]] = deque()
        """The same keys in the order of execution, which is the order of forgetting: a dict that
        loses its first entries is ever slower to say which is its first."""

    def advance(self, elapsed_ms: int) -> None:
        """Let log time pass; forget what may be forgotten."""
        self.log_time += elapsed_ms
        self._forget(FORGET_MAX)
        if self.log_time - self.swept >= SWEEP_MS:
            self.swept = self.log_time
            self.admission.forget(self.log_time)
            idle = self.log_time - self.limits.session_retention_ms
            ended = [n for n, s in self.sessions.items() if s.owner < 0 and s.touched < idle]
            for number in ended:
                del self.sessions[number]
            self.client_count -= len(ended)

    def _forget(self, most: int) -> None:
        """Forget the oldest keys of which more than the retention has gone by, so many at most."""
        oldest, keys, ages = self.log_time - self.limits.key_retention_ms, self.keys, self.ages
        while ages and most and keys[ages[0]][4] < oldest:  # R13 c: only when *more* has gone by
            del keys[ages.popleft()]
            most -= 1

    def execute(self, sub: Submission, machine: Machine, at: Context) -> Outcome | None:
        """Apply one entry; None: it has no outcome that may be told."""
        if sub.kind == OPEN_PEER:
            return self._open_peer(sub, at)
        session = self.sessions.get(sub.session)
        if session is None:
            return (sub.digest, Status.NO_SESSION, at.index, at.epoch, b"")
        session.touched = self.log_time
        if sub.floor > session.floor:
            session.raise_floor(sub.floor)
        number = sub.number
        known = session.results.get(number)
        if known is not None:
            return known
        if not session.floor <= number < session.floor + session.window:
            return None
        outcome = self._keyed(sub, machine, at) if sub.key else self._run(sub, machine, at)
        session.results[number] = outcome
        return outcome

    def _keyed(self, sub: Submission, machine: Machine, at: Context) -> Outcome:
        name = (sub.client, sub.key)
        known = self.keys.get(name)
        if known is not None:
            status = Status.OK if known[0] == sub.digest else Status.OTHER_BODY
            return (sub.digest, status, known[1], known[2], known[3])
        if self.log_time - sub.received > self.limits.key_retention_ms:
            return (sub.digest, Status.EXPIRED, at.index, at.epoch, b"")
        if len(self.keys) >= self.limits.keys:
            self._forget(1)
        if len(self.keys) >= self.limits.keys:
            return (sub.digest, Status.KEYS_FULL, at.index, at.epoch, b"")
        outcome = self._run(sub, machine, at)
        if outcome[1] == Status.OK:
            self.ages.append(name)
            self.keys[name] = (sub.digest, at.index, at.epoch, outcome[4], self.log_time)
        return outcome

    def _run(self, sub: Submission, machine: Machine, at: Context) -> Outcome:
        if sub.kind == COMMAND:
            at.client = sub.client
            return (sub.digest, 0, at.index, at.epoch, machine.apply(sub.body, at))
        if sub.kind == CLOSE_SESSION:
            return self._close(sub, at)
        if sub.kind in {SET_SIZE, JOIN}:
            return (sub.digest, 0, at.index, at.epoch, self.admission.execute(sub, self.log_time))
        if self.client_count >= self.limits.sessions:
            return (sub.digest, Status.SESSIONS_FULL, at.index, at.epoch, b"")
        self.sessions[at.index] = Session(-1, self.limits.client_window, self.log_time)
        self.client_count += 1
        return (sub.digest, 0, at.index, at.epoch, b'{"outcome":"opened","session":%d}' % at.index)

    def _close(self, sub: Submission, at: Context) -> Outcome:
        target = int(sub.body) if len(sub.body) < DIGITS_MAX and sub.body.isdigit() else 0
        session = self.sessions.get(target)
        if session is None or session.owner >= 0:
            return (sub.digest, Status.NO_SESSION, at.index, at.epoch, b"")
        del self.sessions[target]
        self.client_count -= 1
        return (sub.digest, 0, at.index, at.epoch, b'{"outcome":"closed","session":%d}' % target)

    def _open_peer(self, sub: Submission, at: Context) -> Outcome | None:
        """A boot opens one session: the same boot gets its own again, an older one nothing (85)."""
        boot, session = self.peers.get(sub.client, (0, 0))
        owner = sub.client.partition(".")[0]
        is_id = owner.isascii() and owner.isdecimal() and len(owner) < DIGITS_MAX
        gone = self.admission.lives and sub.client not in self.admission.lives
        if sub.number < max(boot, 1) or not is_id or gone:
            return None  # no peer's: an entry that raised would stop every peer for good
        if sub.number > boot:
            self.sessions.pop(session, None)
            self.sessions[at.index] = Session(int(owner), self.limits.peer_window, self.log_time)
            self.peers[sub.client] = (sub.number, at.index)
        return (sub.digest, 0, self.peers[sub.client][1], at.epoch, b"")

    def has_opened(self, sub: Submission) -> bool:
        """Tell whether this boot has its session: to open it again would change nothing."""
        return sub.kind == OPEN_PEER and self.peers.get(sub.client, (0, 0))[0] == sub.number

    def retire(self, name: str) -> None:
        """End the own session of a peer that was removed (R13 a)."""
        _, session = self.peers.pop(name, (0, 0))
        self.sessions.pop(session, None)

    # ---- checkpoint ----

    def snapshot(self) -> Iterator[bytes]:
        """Return the tables as parts, of the moment of the call (C2)."""
        wish = self.admission
        asked = (wish.size, wish.generation, wish.joins.copy())
        head = (self.limits, self.log_time, self.swept, self.peers.copy(), *asked)
        sessions = [
            (number, s.owner, s.window, s.touched, s.floor, list(s.results.items()))
            for number, s in self.sessions.items()
        ]
        keys = list(self.keys.items())

        def parts() -> Iterator[bytes]:
            yield _encode(("head", head))
            for number, owner, window, touched, floor, results in sessions:
                yield _encode(("session", (number, owner, window, touched, floor)))
                for start in range(0, len(results), 256):
                    yield _encode(("results", (number, results[start : start + 256])))
            for start in range(0, len(keys), 256):
                yield _encode(("keys", keys[start : start + 256]))

        return parts()

    def restore(self, part: bytes) -> None:
        """Add one part to empty tables. Raises msgspec.MsgspecError or KeyError for a wrong one."""
        kind, value = _decode(part)
        if kind == "head":
            head, wish = _decode_head(value), self.admission
            self.limits, self.log_time, self.swept, self.peers = head[:4]
            wish.size, wish.generation, wish.joins = head[4:]
        elif kind == "session":
            number, owner, window, touched, floor = _decode_session(value)
            session = self.sessions[number] = Session(owner, window, touched)
            session.floor = floor
            self.client_count += owner < 0
        elif kind == "results":
            number, results = _decode_results(value)
            self.sessions[number].results.update(results)
        else:
            found = _decode_keys(value)
            self.keys.update(found)
            self.ages.extend(name for name, _ in found)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, msgspec.Raw]).decode
_decode_head = msgspec.msgpack.Decoder(
    tuple[Limits, int, int, dict[str, tuple[int, int]], int, int, dict[int, tuple[str, int]]],
).decode
_decode_session = msgspec.msgpack.Decoder(tuple[int, int, int, int, int]).decode
_decode_results = msgspec.msgpack.Decoder(tuple[int, list[tuple[int, Outcome]]]).decode
_decode_keys = msgspec.msgpack.Decoder(list[tuple[tuple[str, str], Known]]).decode
