"""`GET /v1/session`: a client's own session over one WebSocket, pipelined (R13 a).

The first frame that comes back names the session: `{"session", "window"}`. A client's frame is one
command, or a list of them, each with its `number`; the answers come as lists, in the order of their
completion, all of one moment in one frame. At most `IN_FLIGHT_MAX` commands are under way: beyond
that the socket is not read. After a break the client resumes (`?session=ID`, at any peer) and sends
again what was not answered; a number takes effect once.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from bazaar_peer.core.effects import ReadReady, Reply
from bazaar_peer.core.messages import OPEN_SESSION
from bazaar_peer.core.outcomes import Status
from bazaar_peer.runtime import bodies
from bazaar_peer.runtime.api import Commands, answer_body, authorize
from bazaar_peer.runtime.bodies import Caller, command_of, decoded, integer_in
from bazaar_peer.runtime.driver import Busy
from bazaar_peer.runtime.problems import Problem, problem_of

if TYPE_CHECKING:
    from bazaar_peer.runtime.bodies import Numbered

SOCKETS_MAX = 512
IN_FLIGHT_MAX = 1024
HEARTBEAT_S = 20.0

_frame: msgspec.json.Decoder[Numbered | list[Numbered]] = msgspec.json.Decoder(bodies.Frame)


class Sessions:
    """All session sockets of one peer."""

    def __init__(self, commands: Commands) -> None:
        self.commands = commands
        self._sockets = 0

    async def get(self, request: web.Request) -> web.StreamResponse:
        authorize(request)
        caller = self.commands.caller(request)
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S, compress=False, max_msg_size=bodies.BATCH_BODY_MAX_BYTES
        )
        if not socket.can_prepare(request).ok:
            why = (
                "this path takes a WebSocket handshake; over plain HTTP there is POST /v1/sessions"
            )
            raise Problem(400, why, field="Upgrade")
        if self._sockets >= SOCKETS_MAX:
            raise Problem(429, f"{SOCKETS_MAX} session sockets are open here; ask another peer")
        given = request.query.get("session")
        caller.session = 0 if given is None else integer_in(given, "session", 1)
        self._sockets += 1
        try:
            session = caller.session or await self._open(caller)
            await socket.prepare(request)
            await socket.send_frame(
                b'{"session":%d,"window":%d}' % (session, IN_FLIGHT_MAX), WSMsgType.TEXT
            )
            await _Pipeline(self.commands, socket, caller, session).run()
        finally:
            self._sockets -= 1
        return socket

    async def _open(self, caller: Caller) -> int:
        reply = await self.commands.outcome(self.commands.event(caller, b"", OPEN_SESSION))
        if reply.status != Status.OK or reply.answer is None:
            raise problem_of(reply.status)
        return reply.answer.index


class _Pipeline:
    """One socket: reads commands as long as there is room, writes answers as they come."""

    def __init__(
        self, commands: Commands, socket: web.WebSocketResponse, caller: Caller, session: int
    ) -> None:
        self.commands, self.socket, self.caller = commands, socket, caller
        self.session = caller.session = session
        caller.key = ""
        self.patience = caller.deadline - commands.driver.now()
        self.waiting: set[int] = set()
        self.answers: list[bytes] = []
        self.answered = asyncio.Event()
        self.room = asyncio.Event()

    async def run(self) -> None:
        writer = asyncio.get_running_loop().create_task(self._write())
        try:
            async for message in self.socket:
                if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
                    break
                await self._take(message.data)
        except Problem as problem:
            await self.socket.send_frame(msgspec.json.encode(problem.body()), WSMsgType.TEXT)
            await self.socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"invalid frame")
        finally:
            writer.cancel()
            for request in self.waiting:
                self.commands.driver.forget(request)

    async def _take(self, data: bytes | str) -> None:
        found = decoded(data, _frame)
        commands = found if isinstance(found, list) else [found]
        while len(self.waiting) + len(self.answers) + len(commands) > IN_FLIGHT_MAX:
            self.room.clear()
            await self.room.wait()
        caller = self.caller
        caller.deadline = self.commands.driver.now() + self.patience
        for command in commands:
            caller.number, caller.floor = command.number, command.floor
            event = self.commands.event(caller, command_of(command, caller.name))
            try:
                future = self.commands.driver.ask(event)
            except Busy:
                self._told(command.number, Status.BUSY)
                continue
            self.waiting.add(event.request)
            future.add_done_callback(partial(self._done, event.request, command.number))

    def _done(self, request: int, number: int, future: asyncio.Future[Reply | ReadReady]) -> None:
        self.waiting.discard(request)
        if future.cancelled():
            return
        reply = future.result()
        assert isinstance(reply, Reply)
        found = reply.answer
        if reply.status != Status.OK or found is None:
            self._told(number, reply.status)
            return
        body = b'{"number":%d,%b' % (number, found.body[1:])
        self._answer(answer_body(str(number), found.index, found.epoch, body))

    def _told(self, number: int, status: int) -> None:
        self._answer(msgspec.json.encode(problem_of(status).body(number=number)))

    def _answer(self, answer: bytes) -> None:
        self.answers.append(answer)
        self.answered.set()

    async def _write(self) -> None:
        while True:
            await self.answered.wait()
            self.answered.clear()
            answers, self.answers = self.answers, []
            self.room.set()
            try:
                await self.socket.send_frame(b"[%b]" % b",".join(answers), WSMsgType.TEXT)
            except ConnectionError:
                return
