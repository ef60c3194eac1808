"""The OpenAPI 3.1 document: the contract of a peer's HTTP interface, served at /openapi.json.

Its schemas are generated from the very types that check requests (bodies.py) and make results
(market), so that document and code cannot differ; a test compares its paths with the routes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bazaar_peer.market import commands as market
from bazaar_peer.runtime import bodies

Json = dict[str, Any]
REF = "#/components/schemas/{name}"
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
    bodies.Frame,
    market.Result,
]
COMMAND_ERRORS = (400, 408, 409, 413, 415, 422, 429, 503, 504)
READ_ERRORS = (400, 409, 429, 503)
NOTES = """\
Any peer takes any request and carries it over a failover until `Bazaar-Deadline`. Every command is
executed at most once for each `Idempotency-Key` of a `Bazaar-Client` while the key is remembered
(two minutes; whoever retries later than one minute uses a session). 503 says that a request was
never sent to a trader; 504 that its outcome is unknown: look it up by its key."""


def _header(name: str, text: str, schema: Json) -> Json:
    return {"name": name, "in": "header", "description": text, "schema": schema}


_TOKEN: Json = {"type": "string", "pattern": "^[A-Za-z0-9:._-]{1,64}$"}
_COUNT: Json = {"type": "integer", "minimum": 0, "maximum": bodies.INTEGER_MAX}
_NUMBER: Json = _COUNT | {"minimum": 1}
_SECONDS: Json = {
    "type": "number",
    "minimum": bodies.DEADLINE_MIN_S,
    "maximum": bodies.DEADLINE_MAX_S,
    "default": bodies.DEADLINE_DEFAULT_S,
}
CLIENT = _header("Bazaar-Client", "Whose keys these are; the default buyer and seller.", _TOKEN)
DEADLINE = _header("Bazaar-Deadline", "Seconds from now.", _SECONDS)
_AT: Json = {"type": "string", "pattern": "^[A-Za-z0-9:._-]{1,64}:[0-9]{1,19}$"}
INDEX = _header(
    "Bazaar-Index",
    "Read or act only once this journal index is applied; 409 if it names another ring.",
    {"type": "string", "pattern": "^([A-Za-z0-9:._-]{1,64}:)?[0-9]{1,19}$"},
)
COMMON = [CLIENT, DEADLINE, INDEX]
KEY = _header("Idempotency-Key", "Makes a repeat harmless.", _TOKEN)
SESSION = [
    _header("Bazaar-Session", "A session of the client's own.", _NUMBER),
    _header("Bazaar-Number", "The command's number in that session.", _NUMBER),
    _header("Bazaar-Floor", "The lowest number still waited for.", _COUNT),
]
CONSISTENCY = {
    "name": "consistency",
    "in": "query",
    "description": "`linearizable` sees every command answered before (asks the trader).",
    "schema": {"enum": ["local", "linearizable"], "default": "local"},
}


def _query(name: str, most: int = bodies.INTEGER_MAX) -> Json:
    return {"name": name, "in": "query", "schema": _COUNT | {"maximum": most}}


def _path(name: str, schema: Json) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": schema}


PAGE = [_query("after"), _query("limit", 1000)]
_OBJECT: Json = {"type": "object"}
_ANSWER: Json = {"$ref": "#/components/schemas/Answer"}
_BATCH_ANSWER: Json = {
    "type": "object",
    "required": ["answers"],
    "properties": {
        "answers": {
            "type": "array",
            "items": {"anyOf": [_ANSWER, {"$ref": "#/components/schemas/Problem"}]},
        }
    },
}


def _operation(
    summary: str,
    *,
    parameters: list[Json],
    answer: Json = _OBJECT,
    errors: tuple[int, ...] = READ_ERRORS,
    body: str = "",
    success: int = 200,
) -> Json:
    index = {"Bazaar-Index": {"description": "`RING:INDEX`.", "schema": _AT}}
    good = {"description": "Done.", "headers": index, "content": _json(answer)}
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    bad = {"description": "A problem.", "content": {"application/problem+json": problem}}
    told: Json = {
        "summary": summary,
        "parameters": parameters,
        "responses": {str(success): good} | {str(status): bad for status in errors},
    }
    if body:
        schema = {"$ref": REF.format(name=body)}
        told["requestBody"] = {"required": body != "Resignation", "content": _json(schema)}
    return told


def _stream(summary: str, content: str, errors: Json) -> Json:
    good = {"description": "Done.", "content": {content: {}}}
    return {"summary": summary, "parameters": [], "responses": {"200": good} | errors}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _command(summary: str, body: str = "", *, parameters: list[Json] | None = None) -> Json:
    return _operation(
        summary,
        parameters=[*COMMON, KEY, *(SESSION if parameters is None else parameters)],
        answer=_ANSWER,
        errors=COMMAND_ERRORS,
        body=body,
    )


def _look_up(summary: str, *parameters: Json) -> Json:
    errors = (400, 404, 409, 422, 429, 503, 504)
    return _operation(summary, parameters=[*COMMON, *parameters], answer=_ANSWER, errors=errors)


def _read(summary: str, *parameters: Json) -> Json:
    return _operation(summary, parameters=[*COMMON, CONSISTENCY, *parameters])


def _bytes_of(told: Json) -> Json:
    """An operation whose success is bytes."""
    binary = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    told["responses"]["200"] = {"description": "Bytes; none at the end.", "content": binary}
    return told


_SEGMENT = {"type": "integer", "minimum": 0, "maximum": 10**12 - 1}
_LOG_SLICE = _bytes_of(
    _operation(
        "A segment's bytes behind an offset, at most 256 KiB; takes the ring's token.",
        parameters=[_path("segment", _SEGMENT), _query("after")],
        errors=(400, 401, 404),
    )
)
ID = _path("id", _NUMBER)
LOT = _path("lot", {"type": "integer", "minimum": 1, "maximum": 2**48 - 1})
PATHS: Json = {
    "/v1/orders": {"post": _command("Buy goods, all or nothing.", "Order")},
    "/v1/orders/batch": {
        "post": _operation(
            "Buy several times; array order is causal, answers come in request order.",
            parameters=COMMON,
            answer=_BATCH_ANSWER,
            errors=COMMAND_ERRORS,
            body="Batch",
        )
    },
    "/v1/deposits": {"post": _command("Put goods on offer, as a new lot.", "Deposit")},
    "/v1/withdrawals": {"post": _command("Take unsold goods back.", "Withdrawal")},
    "/v1/lots/{lot}": {
        "patch": _command("Re-price a lot.", "NewPrice", parameters=[LOT, *SESSION])
    },
    "/v1/sessions": {"post": _command("Open a session of the client's own.", parameters=[])},
    "/v1/sessions/{id}": {"delete": _command("Close a session.", parameters=[ID])},
    "/v1/session": {
        "get": _operation(
            "A session over a WebSocket: frames are `Frame`, answers come in lists.",
            parameters=[*COMMON, _query("session")],
            errors=(*READ_ERRORS, 504),
            success=101,
        )
    },
    "/v1/commands/{key}": {"get": _look_up("What a key came to.", _path("key", _TOKEN))},
    "/v1/sessions/{id}/{number}": {
        "get": _look_up("What a number came to.", ID, _path("number", _NUMBER))
    },
    "/v1/stock": {"get": _read("Goods on offer.")},
    "/v1/trades": {"get": _read("Trades behind an index.", *PAGE)},
    "/v1/accounts": {"get": _read("What everybody paid and earned.")},
    "/v1/journal": {"get": _read("Committed entries behind an index.", *PAGE)},
    "/v1/log": {
        "get": _operation(
            "Segments of this peer's log, archived ones too; takes the ring's token.",
            parameters=[_query("after")],
            errors=(400, 401),
        )
    },
    "/v1/log/{segment}": {"get": _LOG_SLICE},
    "/v1/ring": {"get": _operation("This peer's view of the ring.", parameters=[], errors=())},
    "/v1/events": {
        "get": _stream(
            "Server-sent events of this peer.",
            "text/event-stream",
            {"429": {"description": "Too many subscribers."}},
        )
    },
    "/v1/members": {
        "post": _operation(
            "Wish for a size; the ring goes there one member at a time.",
            parameters=COMMON,
            errors=(401, *COMMAND_ERRORS),
            body="Wish",
        )
    },
    "/v1/admit": {
        "post": _operation(
            "Note that an empty volume asks for a place in the ring.",
            parameters=COMMON,
            errors=(401, *COMMAND_ERRORS),
            body="Admission",
        )
    },
    "/v1/peer": {
        "get": _operation("What this one peer is.", parameters=[], errors=()),
    },
    "/v1/format": {
        "post": _operation(
            "Make an empty volume a first one of its ring; one that serves answers the same.",
            parameters=[],
            errors=(400, 401, 408, 409, 413, 415),
            body="Formatting",
        )
    },
    "/v1/resign": {
        "post": _operation(
            "Hand the reign over.",
            parameters=[],
            errors=(400, 401, 408, 409, 413, 415),
            body="Resignation",
            success=202,
        )
    },
    "/healthz": {"get": _operation("Alive.", parameters=[], errors=())},
    "/readyz": {"get": _operation("Ready (K1).", parameters=[], errors=(503,))},
    "/metrics": {"get": _stream("For Prometheus.", "text/plain", {})},
    "/openapi.json": {"get": _operation("This document.", parameters=[], errors=())},
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
        "properties": {"outcome": {"enum": ["opened", "closed"]}, "session": _NUMBER},
    }
    head = {
        "type": "object",
        "required": ["key", "index", "epoch"],
        "properties": {"key": {"type": "string"}, "index": _NUMBER, "epoch": _NUMBER},
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
