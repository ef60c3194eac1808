"""What the HTTP interface makes of requests and replies."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType

from bazaar_peer.core import messages as msg
from bazaar_peer.core.effects import Note
from bazaar_peer.core.events import Command, Event, Forget, Read, Resign
from bazaar_peer.core.machine import Context
from bazaar_peer.core.outcomes import Status
from bazaar_peer.market.commands import (
    Deposit,
    Order,
    Reprice,
    Withdraw,
    decode_command,
    encode_command,
)
from bazaar_peer.runtime import client_port, driver
from bazaar_peer.runtime.stub import FILLED

from .conftest import Served

ORDER = {"item": "salt", "quantity": 2}


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - anything may make it true
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("method", "path", "body", "command"),
    [
        ("POST", "/v1/orders", ORDER, Order("salt", 2, "anonymous")),
        ("POST", "/v1/orders", {**ORDER, "buyer": "ann"}, Order("salt", 2, "ann")),
        ("POST", "/v1/deposits", {**ORDER, "price": 3}, Deposit("salt", 2, 3, "anonymous")),
        (
            *("POST", "/v1/deposits"),
            *({**ORDER, "price": 3, "seller": "bob"}, Deposit("salt", 2, 3, "bob")),
        ),
        ("POST", "/v1/withdrawals", {"lot": 4, "quantity": 2}, Withdraw(4, 2)),
        ("PATCH", "/v1/lots/4", {"price": 9}, Reprice(4, 9)),
    ],
)
async def test_a_command_becomes_one_of_the_market(
    served: Served, method: str, path: str, body: dict[str, Any], command: Any
) -> None:
    status, answer, headers = await served.ask(method, path, body)

    assert status == 200
    assert answer == {"key": "1", "index": 2, "epoch": 1, **json.loads(FILLED)}
    assert headers["Bazaar-Index"] == "stub:2"
    assert decode_command(served.core.commands[0].body) == command


async def test_headers_of_a_command_reach_the_core(served: Served) -> None:
    headers = {
        "Bazaar-Client": "shop:1",
        "Idempotency-Key": "k.1",
        "Bazaar-Session": "5",
        "Bazaar-Number": "7",
        "Bazaar-Floor": "6",
        "Bazaar-Index": "9",
        "Bazaar-Deadline": "0.5",
    }
    before = served.driver.now()
    _, answer, _ = await served.ask("POST", "/v1/orders", ORDER, headers)
    [command] = served.core.commands

    assert answer["key"] == "k.1"
    assert (command.client, command.key) == ("shop:1", "k.1")
    assert (command.session, command.number, command.floor) == (5, 7, 6)
    assert command.after_index == 9
    assert 0.5e9 <= command.deadline - before < 10e9
    assert decode_command(command.body) == Order("salt", 2, "anonymous")  # shop:1 is no name


async def test_index_of_an_answer_is_taken_back_as_it_came(served: Served) -> None:
    """R14: it names its ring; a plain number is taken for this one's."""
    _, _, answered = await served.ask("POST", "/v1/orders", ORDER)

    for given in (answered["Bazaar-Index"], "2"):
        await served.ask("POST", "/v1/orders", ORDER, {"Bazaar-Index": given})

    assert [command.after_index for command in served.core.commands] == [0, 2, 2]


@pytest.mark.parametrize("field", ["clock", "stamp"])
async def test_a_clock_that_a_client_names_is_refused(served: Served, field: str) -> None:
    """Row 72, T5: `Bazaar-Index` is all that a client can say of what it has seen."""
    status, answer, _ = await served.ask("POST", "/v1/orders", {**ORDER, field: {"65536": 10**18}})

    assert status == 400
    assert field in str(answer)
    assert served.core.commands == []


async def test_a_client_that_is_a_name_is_the_buyer(served: Served) -> None:
    await served.ask("POST", "/v1/orders", ORDER, {"Bazaar-Client": "ann"})

    assert decode_command(served.core.commands[0].body) == Order("salt", 2, "ann")


async def test_a_batch_is_answered_in_request_order(served: Served) -> None:
    orders = [{**ORDER, "key": f"k{i}", "quantity": i + 1} for i in range(256)]

    status, answer, _ = await served.ask("POST", "/v1/orders/batch", {"orders": orders})

    assert status == 200
    assert [each["key"] for each in answer["answers"]] == [order["key"] for order in orders]
    asked = [decode_command(command.body) for command in served.core.commands]
    assert asked == [Order("salt", i + 1, "anonymous") for i in range(256)]


async def test_a_batch_that_does_not_fit_is_refused_whole(served: Served) -> None:
    served.driver._requests_max = 1
    orders = [{**ORDER, "key": f"k{i}"} for i in range(2)]

    status, _, _ = await served.ask("POST", "/v1/orders/batch", {"orders": orders})

    assert status == 429
    assert served.core.commands == []


async def test_each_order_of_a_batch_has_its_own_problem(served: Served) -> None:
    served.core.status = Status.UNKNOWN
    body = {"orders": [{**ORDER, "key": "a"}]}

    status, answer, _ = await served.ask("POST", "/v1/orders/batch", body)

    assert status == 200
    assert (answer["answers"][0]["key"], answer["answers"][0]["status"]) == ("a", 504)


async def test_sessions_are_opened_and_closed(served: Served) -> None:
    status, answer, _ = await served.ask("POST", "/v1/sessions")
    assert (status, answer["outcome"], answer["session"]) == (200, "opened", 2)

    await served.ask("DELETE", "/v1/sessions/2")
    opening, closing = served.core.commands
    assert (opening.kind, opening.body) == (msg.OPEN_SESSION, b"")
    assert (closing.kind, closing.body) == (msg.CLOSE_SESSION, b"2")


async def test_an_outcome_is_looked_up_linearizably(served: Served) -> None:
    served.core.keys["ann", "k"] = (1, 5, 2, FILLED, 0)
    served.core.numbers[3, 4] = (1, 0, 6, 2, FILLED)
    served.core.numbers[3, 5] = (1, Status.KEYS_FULL, 6, 2, b"")

    _, by_key, _ = await served.ask("GET", "/v1/commands/k", None, {"Bazaar-Client": "ann"})
    _, by_number, _ = await served.ask("GET", "/v1/sessions/3/4")
    refused, _, _ = await served.ask("GET", "/v1/sessions/3/5")

    assert (by_key["key"], by_key["index"], by_key["outcome"]) == ("k", 5, "filled")
    assert (by_number["key"], by_number["index"]) == ("4", 6)
    assert refused == 429
    reads = [event for event in served.core.events if isinstance(event, Read)]
    assert [read.linearizable for read in reads] == [True, True, True]


async def test_a_read_waits_for_the_index_it_names(served: Served) -> None:
    await served.ask("GET", "/v1/stock", None, {"Bazaar-Index": "1"})
    assert not any(isinstance(event, Read) for event in served.core.events)

    await served.ask("GET", "/v1/stock", None, {"Bazaar-Index": "50"})
    [read] = [event for event in served.core.events if isinstance(event, Read)]
    assert (read.after_index, read.linearizable) == (50, False)


async def test_reads_show_the_market(served: Served) -> None:
    market, at = served.core.state.machine, Context()
    at.index = 1
    market.apply(encode_command(Deposit("salt", 5, 3, "bob")), at)
    at.index = 2
    market.apply(encode_command(Order("salt", 2, "ann")), at)

    _, stock, headers = await served.ask("GET", "/v1/stock")
    _, trades, _ = await served.ask("GET", "/v1/trades?after=1")
    _, later, _ = await served.ask("GET", "/v1/trades?after=2")
    _, accounts, _ = await served.ask("GET", "/v1/accounts")

    assert headers["Bazaar-Index"] == "stub:1"
    assert stock["items"]["salt"]["on_offer"] == 3
    part = {"lot": 1, "seller": "bob", "quantity": 2, "price": 3}
    assert trades["trades"] == [
        {"index": 2, "buyer": "ann", "item": "salt", "quantity": 2, "paid": 6, "parts": [part]}
    ]
    assert later["trades"] == []
    assert accounts["accounts"]["bob"]["earned"] == 6


async def test_a_client_that_hangs_up_is_forgotten(served: Served) -> None:
    served.core.silent = True
    asking = asyncio.create_task(served.ask("POST", "/v1/orders", ORDER))
    await until(lambda: served.core.commands)

    asking.cancel()

    await until(lambda: Forget(served.core.commands[0].request) in served.core.events)
    assert not served.driver._waiting


async def test_the_trader_resigns(served: Served) -> None:
    status, _, _ = await served.ask("POST", "/v1/resign")

    assert status == 202
    await until(lambda: Resign(leaving=False) in served.core.events)


# ---- limits and the stall rule


async def test_after_a_stall_connections_close_and_nothing_is_looked_up(served: Served) -> None:
    """Row 75, R13 c."""
    served.core.silent = True
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port.port)
    await served.ask("GET", "/healthz")
    served.driver._read_at -= driver.STALL + 1
    body = json.dumps(ORDER).encode()
    writer.write(
        b"POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    )
    writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    answer = await reader.read()

    assert answer == b""
    assert served.core.commands == []
    assert served.port.stalls == 1
    writer.close()
    await until(lambda: served.port._reopening is not None and served.port._reopening.done())
    served.core.silent = False
    async with aiohttp.ClientSession() as fresh, fresh.get(served.url + "/healthz") as response:
        assert response.status == 200


async def test_what_was_accepted_before_a_stall_is_closed_when_it_begins(served: Served) -> None:
    """Row 75; a stopped process showed it: accepted and begun are two turns of the loop."""
    accepted = served.port._connection()
    served.port._stalled()
    ours, theirs = socket.socketpair()
    ours.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")

    await served.driver.loop.connect_accepted_socket(lambda: accepted, theirs)

    ours.setblocking(False)
    with suppress(ConnectionResetError):
        assert await served.driver.loop.sock_recv(ours, 100) == b""
    ours.close()


async def test_too_many_connections_are_refused_in_words(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_port, "CONNECTIONS_MAX", 0)

    status, problem, _ = await served.ask("GET", "/healthz")

    assert (status, problem["status"]) == (503, 503)


async def test_a_deep_pipeline_is_closed(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)

    answers = (await reader.read()).count(b"200 OK")

    assert 0 < answers < 100
    writer.close()


# ---- the session socket


async def test_a_session_socket_pipelines_commands(served: Served) -> None:
    async with served.session.ws_connect(served.url + "/v1/session") as socket:
        hello = await socket.receive_json()
        assert hello == {"session": 2, "window": 1024}
        first = {"command": "order", "number": 1, **ORDER}
        await socket.send_json(first)
        await socket.send_json(
            [
                {"command": "deposit", "number": 2, "floor": 2, **ORDER, "price": 3},
                {"command": "withdrawal", "number": 3, "lot": 1, "quantity": 1},
                {"command": "price", "number": 4, "lot": 1, "price": 8},
            ]
        )
        answers: list[dict[str, Any]] = []
        while len(answers) < 4:
            answers += await socket.receive_json()

    assert [answer["number"] for answer in answers] == [1, 2, 3, 4]
    assert [answer["key"] for answer in answers] == ["1", "2", "3", "4"]
    commands = served.core.commands[1:]
    assert [(c.session, c.number, c.floor) for c in commands] == [
        *((2, 1, 1), (2, 2, 2), (2, 3, 1), (2, 4, 1))
    ]
    assert decode_command(commands[3].body) == Reprice(1, 8)


async def test_a_session_socket_resumes(served: Served) -> None:
    async with served.session.ws_connect(served.url + "/v1/session?session=77") as socket:
        assert (await socket.receive_json())["session"] == 77

    assert served.core.commands == []


async def test_a_session_socket_is_not_read_beyond_its_bound(served: Served) -> None:
    url = served.url + "/v1/session?session=77"
    wait = aiohttp.ClientWSTimeout(ws_close=0.01)
    async with served.session.ws_connect(url, timeout=wait) as socket:
        await socket.receive_json()
        served.core.silent = True
        for number in range(1, 2001):
            await socket.send_json({"command": "order", "number": number, **ORDER})
        await until(lambda: len(served.core.commands) == 1024)
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(served.core.commands) == 1024
    await until(lambda: sum(isinstance(e, Forget) for e in served.core.events) == 1024)


async def test_a_wrong_frame_closes_the_session_socket_with_a_problem(served: Served) -> None:
    async with served.session.ws_connect(served.url + "/v1/session?session=77") as socket:
        await socket.receive_json()
        await socket.send_json({"command": "order", "number": 0, **ORDER})
        problem = await socket.receive_json()
        closing = await socket.receive()

    assert (problem["status"], problem["field"]) == (400, "number")
    assert closing.type is WSMsgType.CLOSE
    assert closing.data == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_a_refused_number_is_told_with_its_number(served: Served) -> None:
    async with served.session.ws_connect(served.url + "/v1/session?session=77") as socket:
        await socket.receive_json()
        served.core.status = Status.NO_SESSION
        await socket.send_json({"command": "order", "number": 3, **ORDER})
        [problem] = await socket.receive_json()

    assert (problem["number"], problem["status"]) == (3, 409)


# ---- server-sent events


async def test_events_tell_notes_and_trades(served: Served) -> None:
    async with served.session.get(served.url + "/v1/events") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        note = Note("reign_begun", {"epoch": 3})
        for observer in served.driver.observers:
            observer(note)
        told = await response.content.readuntil(b"\n\n")
        assert told == b'event: reign_begun\ndata: {"epoch": 3}\n\n'

        market, at = served.core.state.machine, Context()
        at.index = 2
        market.apply(encode_command(Deposit("salt", 5, 3, "bob")), at)
        at.index = 3
        market.apply(encode_command(Order("salt", 2, "ann")), at)
        served.core.state.index = 3
        told = await response.content.readuntil(b"\n\n")
        assert told.startswith(b"event: trade\n")


async def test_a_subscriber_that_does_not_read_is_let_go(served: Served) -> None:
    async with served.session.get(served.url + "/v1/events") as response:
        for observer in served.driver.observers:
            for epoch in range(5000):
                observer(Note("follows", {"epoch": epoch}))
        count = (await response.read()).count(b"event: follows")

    assert count < 5000


# ---- the driver behind it


async def test_events_of_one_turn_are_handled_in_one_call(served: Served) -> None:
    turns: list[int] = []
    handle = served.core.handle

    def counted(events: list[Event], now: int) -> Any:
        turns.append(len(events))
        return handle(events, now)

    served.core.handle = counted  # type: ignore[method-assign]
    for request in range(100):
        command = Command(request=request, kind=0, body=b"", client="a", deadline=0)
        served.driver.submit(command)
    await asyncio.sleep(0.01)

    assert turns == [100]


@pytest.mark.parametrize(("path", "wanted"), [("/v1/ring", 417), ("/v1/nowhere", 400)])
async def test_a_header_that_is_no_text_is_the_clients_fault(
    served: Served, path: str, wanted: int
) -> None:
    """Found by the fuzzer: aiohttp tells an unknown `Expect` back, bytes that no text has."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port.port)

    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + b"Expect: \xf7\r\n\r\n")
    status = await reader.readline()
    writer.transport.abort()

    assert status.startswith(b"HTTP/1.1 %d " % wanted)
