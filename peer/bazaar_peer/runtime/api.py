"""The HTTP interface of one peer (openapi.py describes it; problems.py says what goes wrong).

Handlers turn requests into events and replies into responses, and decide nothing: any peer takes
any request, and its core carries it to whoever trades, until the caller's deadline. The path of
`POST /v1/orders` is measured (docs/decisions.md): it awaits once, for the outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

from bazaar_peer.core.effects import ReadReady, Reply
from bazaar_peer.core.events import Command, Read
from bazaar_peer.core.messages import CLOSE_SESSION, COMMAND, OPEN_SESSION
from bazaar_peer.core.outcomes import Status
from bazaar_peer.market.commands import Reprice, encode_command
from bazaar_peer.runtime import bodies
from bazaar_peer.runtime.bodies import (
    Caller,
    body_of,
    caller_of,
    command_of,
    integer_in,
    token_in,
)
from bazaar_peer.runtime.driver import Busy
from bazaar_peer.runtime.problems import Problem, problem_of

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer
    from bazaar_peer.runtime.driver import Driver

JSON: Final = "application/json"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_order = msgspec.json.Decoder(bodies.Order)
_deposit = msgspec.json.Decoder(bodies.Deposit)
_withdrawal = msgspec.json.Decoder(bodies.Withdrawal)
_price = msgspec.json.Decoder(bodies.NewPrice)
_batch = msgspec.json.Decoder(bodies.Batch)


def authorize(request: web.Request) -> None:
    """A place for a client's credential; everybody may do everything on one machine."""


def answer_body(key: str, index: int, epoch: int, result: bytes) -> bytes:
    """Splice an answer from a result's bytes, which are a JSON object that is not empty."""
    return b'{"key":"%b","index":%d,"epoch":%d,%b' % (key.encode(), index, epoch, result[1:])


def json_response(body: bytes, ring: str, index: int) -> web.Response:
    """Answer with JSON; the index names its ring, so that no other ring waits for it (R14)."""
    headers = {"Content-Type": JSON, "Bazaar-Index": f"{ring}:{index}"}
    return web.Response(body=body, headers=headers)


class Commands:
    """Everything that a client can have done."""

    def __init__(self, driver: Driver, peer: Peer, ring: str) -> None:
        self.driver, self.peer, self.ring = driver, peer, ring

    def caller(self, request: web.Request) -> Caller:
        return caller_of(request.headers, self.ring)

    def _sessionless(self, request: web.Request) -> Caller:
        caller = self.caller(request)
        if caller.session:
            why = "Bazaar-Session should be left out: this request goes by keys, not by numbers"
            raise Problem(400, why, field="Bazaar-Session")
        return caller

    # ---- one command

    def poster(self, decoder: msgspec.json.Decoder[Any]) -> Handler:
        """Return the handler of a POST whose body is one command of this decoder's type."""

        async def post(request: web.Request) -> web.StreamResponse:
            authorize(request)
            body = await body_of(request, decoder)
            caller = self.caller(request)
            return await self.execute(request, caller, command_of(body, caller.name))

        return post

    async def patch_lot(self, request: web.Request) -> web.Response:
        authorize(request)
        lot = integer_in(request.match_info["lot"], "lot", 1, LOT_MAX)
        body = await body_of(request, _price)
        command = encode_command(Reprice(lot, body.price))
        return await self.execute(request, self.caller(request), command)

    async def open_session(self, request: web.Request) -> web.Response:
        authorize(request)
        return await self.execute(request, self._sessionless(request), b"", OPEN_SESSION)

    async def close_session(self, request: web.Request) -> web.Response:
        authorize(request)
        session = integer_in(request.match_info["id"], "id", 1)
        caller = self._sessionless(request)
        return await self.execute(request, caller, b"%d" % session, CLOSE_SESSION)

    async def execute(
        self, request: web.Request, caller: Caller, body: bytes, kind: int = COMMAND
    ) -> web.Response:
        """Have a command done and answer with its outcome."""
        if request.transport is None:  # closed by the stall rule (R13 c): looked up no more
            raise ConnectionResetError
        reply = await self.outcome(self.event(caller, body, kind))
        answer = reply.answer
        if reply.status != Status.OK or answer is None:
            raise problem_of(reply.status)
        # Without a key of its own, a command goes by its number in the session.
        key = caller.key or str(answer.number)
        told = answer_body(key, answer.index, answer.epoch, answer.body)
        return json_response(told, self.ring, answer.index)

    def event(self, caller: Caller, body: bytes, kind: int = COMMAND) -> Command:
        return Command(
            request=self.driver.new_request(),
            kind=kind,
            body=body,
            client=caller.client,
            key=caller.key,
            deadline=caller.deadline,
            session=caller.session,
            number=caller.number,
            floor=caller.floor,
            after_index=caller.after_index,
        )

    async def outcome(self, event: Command) -> Reply:
        """Have a command done; raises as `ask` does."""
        reply = await self.ask(event)
        assert isinstance(reply, Reply)
        return reply

    async def ask(self, event: Command | Read) -> Reply | ReadReady:
        """Ask the core and wait; forget the request if the client is gone.

        Raises:
            Problem: 429, as many requests are under way as this peer takes.
        """
        try:
            return await self.driver.ask(event)
        except Busy:
            raise problem_of(Status.BUSY) from None
        except asyncio.CancelledError:
            self.driver.forget(event.request)
            raise

    # ---- many

    async def outcomes(self, events: list[Command]) -> list[Reply]:
        """Have many commands done; one task waits for all of them, a task each costs more."""
        futures = [self.driver.ask(event) for event in events]
        try:
            replies = [await future for future in futures]
        except asyncio.CancelledError:
            for event in events:
                self.driver.forget(event.request)
            raise
        return [reply for reply in replies if isinstance(reply, Reply)]

    async def post_batch(self, request: web.Request) -> web.Response:
        """Orders of one client in causal order; each has its own key and its own answer."""
        authorize(request)
        batch = await body_of(request, _batch, bodies.BATCH_BODY_MAX_BYTES)
        caller = self._sessionless(request)
        if request.transport is None:
            raise ConnectionResetError
        if not self.driver.has_room(len(batch.orders)):
            raise problem_of(Status.BUSY)
        events = []
        for order in batch.orders:
            caller.key = order.key
            events.append(self.event(caller, command_of(order, caller.name)))
        answers, index = [], 0
        for order, reply in zip(batch.orders, await self.outcomes(events), strict=True):
            found = reply.answer
            if reply.status == Status.OK and found is not None:
                index = max(index, found.index)
                answers.append(answer_body(order.key, found.index, found.epoch, found.body))
            else:
                answers.append(msgspec.json.encode(problem_of(reply.status).body(key=order.key)))
        return json_response(b'{"answers":[%b]}' % b",".join(answers), self.ring, index)

    # ---- what became of one

    async def get_command(self, request: web.Request) -> web.Response:
        authorize(request)
        key = token_in(request.match_info["key"], "key")
        caller = self.caller(request)
        await self.current(caller, linearizable=True)
        known = self.peer.state.lookup_key(caller.client, key)
        if known is None:
            raise Problem(404, NOT_YET.format("key"))
        told = answer_body(key, known[1], known[2], known[3])
        return json_response(told, self.ring, known[1])

    async def get_number(self, request: web.Request) -> web.Response:
        authorize(request)
        session = integer_in(request.match_info["id"], "id", 1)
        number = integer_in(request.match_info["number"], "number", 1)
        await self.current(self.caller(request), linearizable=True)
        known = self.peer.state.lookup_number(session, number)
        if known is None:
            raise Problem(404, NOT_YET.format("number"))
        if known[1] != Status.OK:
            raise problem_of(known[1])
        told = answer_body(str(number), known[2], known[3], known[4])
        return json_response(told, self.ring, known[2])

    async def current(self, caller: Caller, *, linearizable: bool) -> None:
        """Wait until the applied state may be read for this caller (R12).

        Raises:
            Problem: 429 or 503.
        """
        if not linearizable and caller.after_index <= self.peer.state.index:
            return
        event = Read(
            request=self.driver.new_request(),
            linearizable=linearizable,
            deadline=caller.deadline,
            after_index=caller.after_index,
        )
        reply = await self.ask(event)
        if not isinstance(reply, ReadReady):
            raise problem_of(reply.status)


LOT_MAX = 2**48 - 1
NOT_YET = (
    "no outcome is known for this {} so far; this is not final: "
    "ask again, or send the command again with it"
)


def routes(commands: Commands) -> list[tuple[str, str, Handler]]:
    """Method, path and handler of every command."""
    return [
        ("POST", "/v1/orders", commands.poster(_order)),
        ("POST", "/v1/orders/batch", commands.post_batch),
        ("POST", "/v1/deposits", commands.poster(_deposit)),
        ("POST", "/v1/withdrawals", commands.poster(_withdrawal)),
        ("PATCH", "/v1/lots/{lot}", commands.patch_lot),
        ("POST", "/v1/sessions", commands.open_session),
        ("DELETE", "/v1/sessions/{id}", commands.close_session),
        ("GET", "/v1/commands/{key}", commands.get_command),
        ("GET", "/v1/sessions/{id}/{number}", commands.get_number),
    ]
