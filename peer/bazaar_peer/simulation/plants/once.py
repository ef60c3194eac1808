"""Planted bugs of exactly-once: sessions, numbers and keys (R13)."""

from __future__ import annotations

from typing import Any

import msgspec

from bazaar_peer.core import messages as msg
from bazaar_peer.core.ingress import Ingress
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.outstanding import Outstanding
from bazaar_peer.core.sessions import Sessions
from bazaar_peer.core.types import NEVER
from bazaar_peer.simulation.plants.registry import Patch, plant


@plant
def dedupe() -> list[Patch]:
    """A key is looked up at admission only (R13 c)."""
    return [(Sessions, "_keyed", Sessions._run)]


@plant
def floor_ignored() -> list[Patch]:
    """A number below the floor is executed (R13 a)."""
    inner = Sessions.execute

    def execute(self: Sessions, sub: Any, machine: Any, at: Any) -> Any:
        session = self.sessions.get(sub.session)
        if session is not None and 0 < sub.number < session.floor:
            return self._run(sub, machine, at)
        return inner(self, sub, machine, at)

    return [(Sessions, "execute", execute)]


@plant
def floor_falls() -> list[Patch]:
    """A late submission lowers the floor again (row 83)."""
    inner = Sessions.execute

    def execute(self: Sessions, sub: Any, machine: Any, at: Any) -> Any:
        session = self.sessions.get(sub.session)
        if session is not None:
            session.floor = min(session.floor, max(1, sub.floor))
        return inner(self, sub, machine, at)

    return [(Sessions, "execute", execute)]


@plant
def floor_by_execution() -> list[Patch]:
    """Executing a number raises the floor above it (row 62)."""
    inner = Sessions.execute

    def execute(self: Sessions, sub: Any, machine: Any, at: Any) -> Any:
        outcome = inner(self, sub, machine, at)
        session = self.sessions.get(sub.session)
        if session is not None and outcome is not None and sub.number >= session.floor:
            session.floor = sub.number + 1
        return outcome

    return [(Sessions, "execute", execute)]


@plant
def same_session() -> list[Patch]:
    """A restarted peer goes on in its former boot's session (row 65)."""

    def find(self: Ingress) -> None:
        boot, session = self.peer.state.sessions.peers.get(self._name(), (0, 0))
        if boot:
            self.session, self.opening = session, None

    return [(Ingress, "_find_session", find)]


@plant
def received_again() -> list[Patch]:
    """A submission that is sent again says a later `received` (R13 c)."""
    inner = Ingress._submit

    def submit(self: Ingress, waiting: Any) -> None:
        log_time = self.peer.state.sessions.log_time
        waiting.sub = msgspec.structs.replace(waiting.sub, received=log_time)
        inner(self, waiting)

    return [(Ingress, "_submit", submit)]


@plant
def forgotten_by_count() -> list[Patch]:
    """A new key drives the oldest one out (row 76)."""
    inner = Sessions._keyed

    def keyed(self: Sessions, sub: Any, machine: Any, at: Any) -> Any:
        if (sub.client, sub.key) not in self.keys and len(self.keys) >= self.limits.keys:
            del self.keys[self.ages.popleft()]
        return inner(self, sub, machine, at)

    return [(Sessions, "_keyed", keyed)]


@plant
def refusal_not_kept() -> list[Patch]:
    """A refused number may be executed later (row 84)."""
    inner = Sessions.execute

    def execute(self: Sessions, sub: Any, machine: Any, at: Any) -> Any:
        outcome = inner(self, sub, machine, at)
        session = self.sessions.get(sub.session)
        if session is not None and outcome is not None and outcome[1] == Status.KEYS_FULL:
            session.results.pop(sub.number, None)
        return outcome

    return [(Sessions, "execute", execute)]


@plant
def body_not_compared() -> list[Patch]:
    """A key's result is told whatever the body was (row 78)."""
    inner = Sessions._keyed

    def keyed(self: Sessions, sub: Any, machine: Any, at: Any) -> Any:
        known = self.keys.get((sub.client, sub.key))
        if known is not None:
            return (sub.digest, Status.OK, known[1], known[2], known[3])
        return inner(self, sub, machine, at)

    return [(Sessions, "_keyed", keyed)]


@plant
def expiry_ignored() -> list[Patch]:
    """A submission is executed however old its look-up is (row 61)."""
    inner = Sessions._keyed

    def keyed(self: Sessions, sub: Any, machine: Any, at: Any) -> Any:
        fresh = msgspec.structs.replace(sub, received=self.log_time)
        return inner(self, fresh, machine, at)

    return [(Sessions, "_keyed", keyed)]


@plant
def floor_stuck() -> list[Patch]:
    """A number given up at its deadline is still waited for (row 82)."""
    inner, send = Outstanding._expire, Ingress._submit

    def submit(self: Ingress, waiting: Any) -> None:
        if waiting.deadline < NEVER or waiting.sub.kind == msg.OPEN_PEER:
            send(self, waiting)

    def expire(self: Outstanding) -> None:
        gone = {n: w for n, w in self.own.items() if self.peer.now >= w.deadline}
        inner(self)
        for number, waiting in gone.items():
            waiting.request, waiting.deadline = 0, NEVER
            self.own[number] = waiting
        self.own = dict(sorted(self.own.items()))

    return [(Outstanding, "_expire", expire), (Ingress, "_submit", submit)]


@plant
def older_boot_opens() -> list[Patch]:
    """A late open of an earlier boot ends the live session (row 85)."""
    inner = Sessions._open_peer

    def open_peer(self: Sessions, sub: Any, at: Any) -> Any:
        boot, session = self.peers.get(sub.client, (0, 0))
        if sub.number < boot:
            self.peers[sub.client] = (sub.number - 1, session)
        return inner(self, sub, at)

    return [(Sessions, "_open_peer", open_peer)]


@plant
def session_called_unknown() -> list[Patch]:
    """A number is refused before the entry that opened its session is applied here (R13 a)."""
    inner = Ingress._admit_numbered

    def admit(self: Ingress, event: Any) -> bool:
        if event.session > self.peer.state.index:
            self._reply(event.request, Status.NO_SESSION)
            return True
        return inner(self, event)

    return [(Ingress, "_admit_numbered", admit)]


@plant
def number_runs_again() -> list[Patch]:
    """A number that came to something is executed again when it is submitted again (R13 a)."""
    inner = Sessions.execute

    def execute(self: Sessions, sub: Any, machine: Any, at: Any) -> Any:
        session = self.sessions.get(sub.session)
        if session is not None:
            session.results.pop(sub.number, None)
        return inner(self, sub, machine, at)

    return [(Sessions, "execute", execute)]


@plant
def forgotten_too_early() -> list[Patch]:
    """A key is forgotten when its retention has gone by, not when more has (row 81)."""
    inner = Sessions._forget

    def forget(self: Sessions, most: int) -> None:
        self.log_time += 1
        inner(self, most)
        self.log_time -= 1

    return [(Sessions, "_forget", forget)]


@plant
def peer_sessions_idle_out() -> list[Patch]:
    """A peer's own session ends when it was idle, like a client's (row 86)."""
    inner = Sessions.advance

    def advance(self: Sessions, elapsed_ms: int) -> None:
        inner(self, elapsed_ms)
        idle = self.log_time - self.limits.session_retention_ms
        for number in [n for n, s in self.sessions.items() if s.owner >= 0 and s.touched < idle]:
            del self.sessions[number]

    return [(Sessions, "advance", advance)]


@plant
def peer_sessions_counted() -> list[Patch]:
    """Peers' own sessions count towards the limit of sessions (row 86)."""
    inner = Sessions._open_peer

    def open_peer(self: Sessions, sub: Any, at: Any) -> Any:
        return inner(self, sub, at) if len(self.sessions) < self.limits.sessions else None

    return [(Sessions, "_open_peer", open_peer)]


@plant
def opened_again() -> list[Patch]:
    """A duplicate of a boot's open ends the session that the boot has (row 85)."""
    inner = Sessions._open_peer

    def open_peer(self: Sessions, sub: Any, at: Any) -> Any:
        boot, session = self.peers.get(sub.client, (0, 0))
        if sub.number == boot:
            self.peers[sub.client] = (boot - 1, session)
        return inner(self, sub, at)

    return [(Sessions, "_open_peer", open_peer)]


@plant
def number_body_not_compared() -> list[Patch]:
    """A number's result is told whatever body was sent under it (R13 a, row 78)."""

    def resolve(self: Ingress, waiting: Any, answer: msg.Answer) -> None:
        self._reply(waiting.request, answer.status, answer)

    return [(Ingress, "_resolve", resolve)]


@plant
def unavailable_not_kept() -> list[Patch]:
    """`unavailable` is told, and not remembered under its key (row 27)."""
    inner = Sessions._keyed

    def keyed(self: Sessions, sub: Any, machine: Any, at: Any) -> Any:
        outcome = inner(self, sub, machine, at)
        name = (sub.client, sub.key)
        if b"unavailable" in outcome[4] and name in self.keys:
            del self.keys[name]
            self.ages.remove(name)
        return outcome

    return [(Sessions, "_keyed", keyed)]
