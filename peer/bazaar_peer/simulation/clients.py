"""Clients: keyed ones, sessions with numbers and floors, readers.

Keyed clients send the same key again through any peer, also beside the first attempt. What they
were told is compared with what was committed; when it was told gives the history that history.py
judges.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from bazaar_peer.core import effects as ef
from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.types import MS, Nanos
from bazaar_peer.market.commands import Deposit, Order, Reprice, Withdraw, encode_command
from bazaar_peer.simulation.counter import Add, Counter, encode_add
from bazaar_peer.simulation.dice import Dice
from bazaar_peer.simulation.operations import Operation, Session
from bazaar_peer.simulation.violation import Violation, must

if TYPE_CHECKING:
    from bazaar_peer.simulation.host import Host
    from bazaar_peer.simulation.world import World

FINAL = {Status.OK, Status.OTHER_BODY, Status.NO_SESSION, Status.OUT_OF_WINDOW}


class Clients:
    """All clients of a run; `history` is what they saw."""

    def __init__(self, world: World) -> None:
        self.world = world
        plan = world.plan
        self.patience = plan.limits.key_retention_ms * MS * 2 // 5
        """All attempts at a key lie within less than half of its retention (R13 c)."""
        self.requests: dict[int, tuple[Operation, int]] = {}
        self.count = 0
        self.seen = 0
        """Highest index of any answer yet: whatever begins later comes behind it (S9)."""
        self.sessions: list[Session] = []
        self.history: list[Operation] = []
        self.targets: list[int] = []
        """Through whom commands go; nobody in particular: through all."""
        world.replies, world.died = self.reply, self.died
        for name, at, kind, arguments in plan.commands:
            if world.keeps(name):
                world.push(at, -1, 0, lambda k=kind, a=arguments: getattr(self, k)(*a))

    # ---- what clients do ----

    def key(self, key: int, draw: int, rival: bool = False) -> Operation:
        """Send a command under a key, perhaps through two peers at once, or with a rival body."""
        dice = Dice(draw)
        command = {
            "kind": msg.COMMAND,
            "body": self.body(dice),
            "client": f"c{key % 3}",
            "key": f"k{key}",
        }
        operation = self._begin(command, self.patience, dice.below(1 << 30))
        if dice.chance(0.3):
            self._attempt(operation)
        if rival:
            other = {**command, "body": self.body(dice)}
            while other["body"] == command["body"]:
                other["body"] = self.body(dice)
            self._begin(other, self.patience, dice.below(1 << 30))
        return operation

    def body(self, dice: Dice) -> bytes:
        if self.world.plan.machine == "counter":
            return encode_add(Add(dice.between(1, 9)))
        item, quantity = dice.choice(["salt", "fish"]), dice.between(1, 4)
        draw = dice.below(10)
        if draw < 4:
            return encode_command(Deposit(item, quantity + 2, dice.between(1, 99), "ann"))
        if draw < 8:
            return encode_command(Order(item, quantity, dice.choice(["bob", "eve"])))
        lot = max(1, self.seen - dice.below(6))
        return encode_command(Withdraw(lot, 1) if draw == 8 else Reprice(lot, quantity))

    def session(self, client: int, draw: int) -> Session:
        """Open a session and go on in it."""
        session = Session(client, draw)
        self.sessions.append(session)
        self._open(session)
        return session

    def _open(self, session: Session) -> None:
        command = {
            "kind": msg.OPEN_SESSION,
            "body": b"",
            "client": f"s{session.client}",
            "key": f"open{session.dice.below(1 << 30)}",
        }
        operation = self._begin(command, self.patience, session.dice.below(1 << 30))
        operation.session = session

    def _numbers(self, session: Session) -> None:
        """Send new numbers while the window and the client's wish have room."""
        while session.left > 0 and session.id:
            floor = min(session.open, default=session.next)
            if session.next >= floor + self.world.plan.limits.client_window:
                return
            session.left -= 1
            self.number(session)
            if session.dice.chance(0.3):
                return

    def number(self, session: Session) -> Operation:
        """Send the session's next number; caller duty: its window has room."""
        number, session.next = session.next, session.next + 1
        command = {
            "kind": msg.COMMAND,
            "body": self.body(session.dice),
            "client": f"s{session.client}",
            "session": session.id,
            "number": number,
        }
        patience = self.patience * session.dice.between(1, 6)
        session.open[number] = operation = self._later(command, patience, session)
        self._attempt(operation)
        return operation

    def room(self, session: Session) -> bool:
        """Tell whether a session is alive and its window has room for another number."""
        window = self.world.plan.limits.client_window
        free = session.next < min(session.open, default=session.next) + window
        return free and session.id in self._sessions()

    def _later(self, command: dict[str, Any], patience: Nanos, session: Session) -> Operation:
        now = self.world.now
        operation = Operation(command, now, now + patience, session.dice.below(1 << 30))
        operation.session, operation.floor = session, self.seen
        self.history.append(operation)
        return operation

    def read(self, linearizable: bool, draw: int) -> Operation:
        command = {"linearizable": linearizable, "after_index": 0 if linearizable else self.seen}
        return self._begin(command, self.patience, draw)

    # ---- attempts ----

    def _begin(self, command: dict[str, Any], patience: Nanos, draw: int) -> Operation:
        now = self.world.now
        operation = Operation(command, now, now + patience, draw)
        operation.floor = self.seen
        self.history.append(operation)
        self._attempt(operation)
        return operation

    def _attempt(self, operation: Operation) -> None:
        """Send once, through any peer; when it takes long, another attempt goes beside it."""
        world = self.world
        if operation.done:
            return
        if world.now >= operation.give_up:
            self._gave_up(operation)
            return
        host = world.hosts[operation.dice.choice(self.targets or list(world.hosts))]
        operation.attempts += 1
        wait = world.plan.timing.heartbeat_timeout * operation.dice.between(1, 4) // 2
        world.later(wait, lambda: self._attempt(operation))
        if host.peer is None:
            return
        self.count += 1
        self.requests[self.count] = (operation, host.id)
        deadline = host.local(operation.give_up)
        event = self._event(operation, self.count, deadline)
        world.push(world.now + 1000, host.id, host.life, event)

    def _event(self, operation: Operation, request: int, deadline: Nanos) -> ev.Event:
        command, session = operation.command, operation.session
        if "linearizable" in command:
            operation.epoch = max(self.world.checkers.reigns, default=0)
            return ev.Read(request=request, deadline=deadline, **command)
        floor = 0
        if session is not None and "number" in command:
            floor = min(session.open, default=session.next)
            if operation.attempts > 1:
                self.world.reach("numbers_retried")
        return ev.Command(request=request, deadline=deadline, floor=floor, **command)

    def _gave_up(self, operation: Operation) -> None:
        operation.done = True
        self._settle(operation)

    def _settle(self, operation: Operation) -> None:
        session = operation.session
        if session is not None and "number" in operation.command:
            session.open.pop(operation.command["number"], None)
            self._numbers(session)

    def died(self, peer: int) -> None:
        """Requests at a dead process are gone: their clients try elsewhere."""
        gone = [r for r, (_, at) in self.requests.items() if at == peer]
        for request in gone:
            operation, _ = self.requests.pop(request)
            self.world.later(100_000, partial(self._attempt, operation))

    # ---- answers ----

    def reply(self, host: Host, effect: ef.Reply | ef.ReadReady) -> None:
        found = self.requests.pop(effect.request, None)
        must(found is not None, "R13e", f"request {effect.request} is answered twice, or unasked")
        assert found is not None
        operation = found[0]
        if isinstance(effect, ef.ReadReady):
            self._read_ready(host, operation)
        elif effect.answer is not None:
            self._answered(host, operation, effect.answer)
        else:
            if effect.status == Status.UNKNOWN and operation.command.get("key"):
                name = (operation.command["client"], operation.command["key"])
                if name in self.world.checkers.committed.keys:
                    self.world.reach("deadline_passed_committed")
            self._refused(operation, effect.status)

    def _refused(self, operation: Operation, status: int) -> None:
        """No outcome; another attempt is under way already, unless this is final."""
        if status == Status.NO_SESSION and operation.session is not None:
            session = operation.session
            ended = operation.command["session"] not in self._sessions()
            must(ended, "R13a", f"{operation.command} is refused, but its session is alive")
            if session.id == operation.command["session"]:
                session.id, session.next, session.open = 0, 1, {}
                self._open(session)
            operation.done = True
        elif status == Status.OUT_OF_WINDOW:
            number = operation.command["number"]
            waits = operation.session is not None and number in operation.session.open
            must(operation.done or not waits, "R13a", f"{operation.command} is out of the window")
        elif status == Status.OTHER_BODY:
            operation.status, operation.done = status, True

    def _sessions(self) -> dict[int, Any]:
        return dict(self.world.checkers.committed.state.sessions.sessions)

    def _read_ready(self, host: Host, operation: Operation) -> None:
        peer = host.peer
        assert peer is not None
        index = peer.state.index
        least = operation.floor if operation.command["linearizable"] else 0
        least = max(least, operation.command["after_index"])
        must(index >= least, "S9", f"a read at {index} misses {least}, answered before it began")
        if max(self.world.checkers.reigns, default=0) > operation.epoch:
            self.world.reach("read_over_election")
        if operation.command["linearizable"]:
            machine = peer.state.machine
            value = b"%d" % machine.value if isinstance(machine, Counter) else b""
            self._done(operation, index, Status.OK, value)

    def _done(self, operation: Operation, index: int, status: int, value: bytes) -> None:
        if not operation.done:
            operation.done = True
            operation.returned, operation.index = self.world.now, index
            operation.status, operation.value = status, value
        self.seen = max(self.seen, index)

    def _answered(self, host: Host, operation: Operation, answer: msg.Answer) -> None:
        """S5, and R13 e: an answer is what this very command came to, and that is committed."""
        committed, command = self.world.checkers.committed, operation.command
        must(answer.index <= committed.last, "S5", f"answered {answer.index} before commit")
        if answer.status in {Status.OTHER_BODY, Status.NO_SESSION}:
            self._refused(operation, answer.status)
            return
        if answer.status != Status.OK:
            return
        found = committed.executed.get(answer.index)
        if found is None:
            raise Violation("S5", f"answered with entry {answer.index}, where nothing executed")
        entry, body = found
        must(body == answer.body, "S5", f"answer of {answer.index} is not what was committed")
        same = (entry.kind, entry.body) == (command["kind"], command["body"])
        if command.get("key"):
            same = same and (entry.client, entry.key) == (command["client"], command["key"])
        else:
            same = same and (entry.session, entry.number) == (command["session"], command["number"])
        must(same, "R13e", f"{command} was answered with the result of {entry}")
        first = not operation.done
        self._done(operation, answer.index, answer.status, answer.body)
        if command["kind"] == msg.OPEN_SESSION and operation.session is not None:
            session = operation.session
            if first and not session.id:
                session.id = msgspec.json.decode(answer.body)["session"]
                self._numbers(session)
        self._settle(operation)
