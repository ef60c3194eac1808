"""The OpenAPI document, the types and the routes are one contract; a fuzzer tries to break it."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import schemathesis
import uvloop
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bazaar_peer.core.types import PeerId
from bazaar_peer.runtime import bodies
from bazaar_peer.runtime.client_port import make_app
from bazaar_peer.runtime.connections import Identity
from bazaar_peer.runtime.cut import Cut
from bazaar_peer.runtime.openapi import PATHS, document
from bazaar_peer.runtime.settings import ProcessSettings
from bazaar_peer.runtime.stub import StubPeer, start
from bazaar_peer.runtime.transport import TcpTransport
from tests.unit.runtime.test_cut import Wire

from .conftest import Served

BY_HAND = ("/v1/session", "/v1/events")  # no request with one answer: tested in test_api.py
EVERY = list(HealthCheck)


class Ports:
    """A stub's client port and a peer port, served by a thread of their own."""

    def __init__(self) -> None:
        self.loop = uvloop.new_event_loop()
        self.ready = threading.Event()
        self.stop = asyncio.Event()
        self.client = self.peer = 0
        self.faults: list[dict[str, Any]] = []
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self.serve(),))
        self.thread.start()
        self.ready.wait()

    async def serve(self) -> None:
        self.loop.set_exception_handler(lambda _loop, context: self.faults.append(context))
        driver, port = await start(StubPeer())
        driver.start()
        me = Identity(ring="r", life=PeerId(0), boot=1, address="x:1")
        transport = TcpTransport(
            me,
            lambda _peer: "127.0.0.1:1",
            deliver=driver.deliver,
            report=driver.submit,
        )
        self.peer = await transport.start("127.0.0.1", 0)
        self.client = port.port
        self.ready.set()
        await self.stop.wait()
        await transport.close()
        await port.close()
        await driver.close()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()
        self.loop.close()


@pytest.fixture(scope="module")
def ports() -> Iterator[Ports]:
    served = Ports()
    yield served
    served.close()
    assert served.faults == []


@pytest.fixture(scope="module")
def contract(ports: Ports) -> Any:
    told = json.loads(document())
    for path in BY_HAND:
        del told["paths"][path]
    schema = schemathesis.openapi.from_dict(told)
    schema.config.update(base_url=f"http://127.0.0.1:{ports.client}")
    return schema


OPERATIONS = [
    (path, method.upper())
    for path, methods in PATHS.items()
    for method in methods
    if path not in BY_HAND
]
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_whatever_is_sent_is_answered_as_the_document_says(
    contract: Any, path: str, method: str, mode: GenerationMode
) -> None:
    operation = contract[path][method]
    told = PATHS[path][method.lower()]
    if mode is GenerationMode.NEGATIVE and not (told["parameters"] or "requestBody" in told):
        pytest.skip("nothing can be sent wrongly")

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=EVERY)
    def check(case: Any) -> None:
        case.validate_response(case.call(), checks=CHECKS)

    check()


async def test_paths_and_methods_are_those_of_the_document(served: Served) -> None:
    settings = ProcessSettings(me=0, peers=1, ring="stub", volume="", drills=True)
    cut = Cut(0, Wire())
    app = make_app(served.driver, served.core, settings, cut=cut)  # type: ignore[arg-type]
    routes = {
        (route.resource.canonical, route.method.lower())
        for route in app.router.routes()
        if route.resource is not None and route.method not in {"HEAD", "OPTIONS"}
    }
    page = {("/", "get"), ("/page/{name}", "get")}  # what a person reads is no interface

    assert routes - page == {
        (path, method) for path, methods in PATHS.items() for method in methods
    }


async def test_the_document_is_served(served: Served) -> None:
    status, told, _ = await served.ask("GET", "/openapi.json")

    assert status == 200
    assert told == json.loads(document())
    assert told["openapi"] == "3.1.0"


@pytest.mark.parametrize(
    "kind", [bodies.Order, bodies.Deposit, bodies.Withdrawal, bodies.NewPrice, bodies.Batch]
)
def test_schemas_are_those_of_the_types(kind: type[msgspec.Struct]) -> None:
    schema = json.loads(document())["components"]["schemas"][kind.__name__]
    fields = {field.name: field.required for field in msgspec.structs.fields(kind)}

    assert set(schema["properties"]) == set(fields)
    assert set(schema["required"]) == {name for name, required in fields.items() if required}
    assert schema["additionalProperties"] is False


GOOD = (
    b"POST /v1/orders HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: "
)


def test_garbage_on_both_ports_harms_nobody(ports: Ports) -> None:
    seeded = random.Random(7)
    for turn in range(300):
        garbage = seeded.randbytes(seeded.randrange(1, 400))
        for port in (ports.client, ports.peer):
            with socket.create_connection(("127.0.0.1", port)) as raw:
                raw.sendall((GOOD if turn % 3 == 0 else b"") + garbage)
                if turn % 2:
                    raw.shutdown(socket.SHUT_WR)

    with socket.create_connection(("127.0.0.1", ports.client)) as raw:
        raw.sendall(GOOD + b'30\r\n\r\n{"item":"salt","quantity":  1}')
        assert raw.recv(100).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "sent",
    [
        b"NONSENSE\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: " + b"a" * 20000 + b"\r\n\r\n",
        b"POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_http_is_a_problem_too(ports: Ports, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", ports.client), timeout=10) as raw:
        raw.sendall(sent)
        answer = b""
        while data := raw.recv(65536):
            answer += data

    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ", b"HTTP/1.1 415 "))
    assert b"application/problem+json" in answer
