"""The OpenAPI 3.1 document: the contract of a peer's HTTP interface, served at /openapi.json.

Its schemas are generated from the very types that check requests (bodies.py) and make results
(market), so that document and code cannot differ; a test compares its paths with the routes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bazaar_peer.market import commands as market
from bazaar_peer.runtime import bodies, drill_bodies
from bazaar_peer.runtime.openapi_parts import (
    BATCH_ANSWER,
    COMMAND_ERRORS,
    COMMON,
    NUMBER,
    PAGE,
    READ_ERRORS,
    REF,
    SESSION,
    TOKEN,
    Json,
    asked,
    bytes_of,
    command,
    look_up,
    operation,
    path_part,
    query,
    read,
    stream,
)

TYPES: list[Any] = [
    bodies.Order,
    bodies.Deposit,
    bodies.Withdrawal,
    bodies.NewPrice,
    bodies.Batch,
    bodies.Resignation,
    bodies.Wish,
    bodies.Admission,
    bodies.Formatting,
    drill_bodies.CutOff,
    drill_bodies.Stillness,
    drill_bodies.Fault,
    bodies.Frame,
    market.Result,
]
NOTES = """\
Any peer takes any request and carries it over a failover until `Bazaar-Deadline`. Every command is
executed at most once for each `Idempotency-Key` of a `Bazaar-Client` while the key is remembered
(two minutes; whoever retries later than one minute uses a session). 503 says that a request was
never sent to a trader; 504 that its outcome is unknown: look it up by its key."""


_SEGMENT = {"type": "integer", "minimum": 0, "maximum": 10**12 - 1}
_LOG_SLICE = bytes_of(
    operation(
        "A segment's bytes behind an offset, at most 256 KiB; takes the ring's token.",
        parameters=[path_part("segment", _SEGMENT), query("after")],
        errors=(400, 401, 404),
    )
)
_MARK: Json = {
    "name": "after",
    "in": "query",
    "description": "`next` of the page before.",
    "schema": {"type": "string", "pattern": "^[0-9]{1,19}:[0-9]{1,19}$", "default": "0:0"},
}
ID = path_part("id", NUMBER)
LOT = path_part("lot", {"type": "integer", "minimum": 1, "maximum": 2**48 - 1})
PATHS: Json = {
    "/v1/orders": {"post": command("Buy goods, all or nothing.", "Order")},
    "/v1/orders/batch": {
        "post": operation(
            "Buy several times; array order is causal, answers come in request order.",
            parameters=COMMON,
            answer=BATCH_ANSWER,
            errors=COMMAND_ERRORS,
            body="Batch",
        )
    },
    "/v1/deposits": {"post": command("Put goods on offer, as a new lot.", "Deposit")},
    "/v1/withdrawals": {"post": command("Take unsold goods back.", "Withdrawal")},
    "/v1/lots/{lot}": {"patch": command("Re-price a lot.", "NewPrice", parameters=[LOT, *SESSION])},
    "/v1/sessions": {"post": command("Open a session of the client's own.", parameters=[])},
    "/v1/sessions/{id}": {"delete": command("Close a session.", parameters=[ID])},
    "/v1/session": {
        "get": operation(
            "A session over a WebSocket: frames are `Frame`, answers come in lists.",
            parameters=[*COMMON, query("session")],
            errors=(*READ_ERRORS, 504),
            success=101,
        )
    },
    "/v1/commands/{key}": {"get": look_up("What a key came to.", path_part("key", TOKEN))},
    "/v1/sessions/{id}/{number}": {
        "get": look_up("What a number came to.", ID, path_part("number", NUMBER))
    },
    "/v1/stock": {"get": read("Goods on offer.")},
    "/v1/trades": {"get": read("Trades behind an index.", *PAGE)},
    "/v1/accounts": {"get": read("What everybody paid and earned.")},
    "/v1/journal": {"get": read("Committed entries behind an index.", *PAGE)},
    "/v1/log": {
        "get": operation(
            "Segments of this peer's log, archived ones too; takes the ring's token.",
            parameters=[query("after")],
            errors=(400, 401),
        )
    },
    "/v1/log/{segment}": {"get": _LOG_SLICE},
    "/v1/ring": {"get": operation("This peer's view of the ring.", parameters=[], errors=())},
    "/v1/record": {
        "get": operation(
            "A peer's record of the protocol's steps behind a mark, page by page.",
            parameters=[query("peer", 0xFFFF), query("age", 86_400), _MARK],
            errors=(400, 404, 422, 503),
        )
    },
    "/v1/story": {
        "get": stream(
            "The whole ring's steps, put in one order, as server-sent events.",
            "text/event-stream",
            {"429": {"description": "Too many pages are open here."}},
        )
    },
    "/v1/events": {
        "get": stream(
            "Server-sent events of this peer.",
            "text/event-stream",
            {"429": {"description": "Too many subscribers."}},
        )
    },
    "/v1/members": {
        "post": operation(
            "Wish for a size; the ring goes there one member at a time.",
            parameters=COMMON,
            errors=(401, *COMMAND_ERRORS),
            body="Wish",
        )
    },
    "/v1/admit": {
        "post": operation(
            "Note that an empty volume asks for a place in the ring.",
            parameters=COMMON,
            errors=(401, *COMMAND_ERRORS),
            body="Admission",
        )
    },
    "/v1/peer": {
        "get": operation("What this one peer is.", parameters=[], errors=()),
    },
    "/v1/format": asked(
        "Make an empty volume a first one of its ring; one that serves answers the same.",
        "Formatting",
    ),
    "/v1/backup": {
        "get": bytes_of(
            operation(
                "All that was executed so far, as a file; takes the ring's token.",
                parameters=COMMON,
                errors=(*READ_ERRORS, 401),
            )
        ),
        "put": operation(
            "Give a ring that is made the backup that it begins with; one that serves refuses.",
            parameters=[],
            errors=(401, 408, 409, 413, 507),
        ),
    },
    "/v1/resign": asked("Hand the reign over.", "Resignation", success=202),
    "/v1/cut": asked(
        "Drop what goes to and comes from other peers for a while; where drills are let.", "CutOff"
    ),
    "/v1/pause": asked("Stand still for a while; where drills are let.", "Stillness"),
    "/v1/faults": asked(
        "Kill, pause, resume, cut off or heal a peer of this machine; `bazaar up` only.", "Fault"
    ),
    "/healthz": {"get": operation("Alive.", parameters=[], errors=())},
    "/readyz": {"get": operation("Ready (K1).", parameters=[], errors=(503,))},
    "/metrics": {"get": stream("For Prometheus.", "text/plain", {})},
    "/openapi.json": {"get": operation("This document.", parameters=[], errors=())},
}

_PROBLEM: Json = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "field": {"type": "string"},
    },
}


def _answer(result: Json) -> Json:
    opened = {
        "type": "object",
        "required": ["outcome", "session"],
        "properties": {"outcome": {"enum": ["opened", "closed"]}, "session": NUMBER},
    }
    head = {
        "type": "object",
        "required": ["key", "index", "epoch"],
        "properties": {"key": {"type": "string"}, "index": NUMBER, "epoch": NUMBER},
    }
    return {"allOf": [head, {"anyOf": [*result["anyOf"], opened]}]}


def document() -> bytes:
    """Return the document."""
    schemas, components = msgspec.json.schema_components(TYPES, ref_template=REF)
    frame, result = schemas[-2], schemas[-1]
    more = {"Problem": _PROBLEM, "Frame": frame, "Answer": _answer(result)}
    told = {
        "openapi": "3.1.0",
        "info": {"title": "Bazaar", "version": "1", "description": NOTES},
        "paths": PATHS,
        "components": {"schemas": components | more},
    }
    # Python's anchors of the whole string are unknown to JSON Schema's regular expressions.
    return msgspec.json.encode(told).replace(rb"\\A", b"^").replace(rb"\\Z", b"$")
