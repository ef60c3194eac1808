"""The words of the OpenAPI document (openapi.py): parameters, and kinds of operation."""

from __future__ import annotations

from typing import Any

from bazaar_peer.runtime import bodies

Json = dict[str, Any]
REF = "#/components/schemas/{name}"
COMMAND_ERRORS = (400, 408, 409, 413, 415, 422, 429, 503, 504)
READ_ERRORS = (400, 409, 429, 503)
FOREIGN = 403
"""Of every path: a page of another site asked (browsers.py)."""


def header(name: str, text: str, schema: Json) -> Json:
    return {"name": name, "in": "header", "description": text, "schema": schema}


TOKEN: Json = {"type": "string", "pattern": "^[A-Za-z0-9:._-]{1,64}$"}
COUNT: Json = {"type": "integer", "minimum": 0, "maximum": bodies.INTEGER_MAX}
NUMBER: Json = COUNT | {"minimum": 1}
SECONDS: Json = {
    "type": "number",
    "minimum": bodies.DEADLINE_MIN_S,
    "maximum": bodies.DEADLINE_MAX_S,
    "default": bodies.DEADLINE_DEFAULT_S,
}
CLIENT = header("Bazaar-Client", "Whose keys these are; the default buyer and seller.", TOKEN)
DEADLINE = header("Bazaar-Deadline", "Seconds from now.", SECONDS)
AT: Json = {"type": "string", "pattern": "^[A-Za-z0-9:._-]{1,64}:[0-9]{1,19}$"}
INDEX = header(
    "Bazaar-Index",
    "Read or act only once this journal index is applied; 409 if it names another ring.",
    {"type": "string", "pattern": "^([A-Za-z0-9:._-]{1,64}:)?[0-9]{1,19}$"},
)
COMMON = [CLIENT, DEADLINE, INDEX]
KEY = header("Idempotency-Key", "Makes a repeat harmless.", TOKEN)
SESSION = [
    header("Bazaar-Session", "A session of the client's own.", NUMBER),
    header("Bazaar-Number", "The command's number in that session.", NUMBER),
    header("Bazaar-Floor", "The lowest number still waited for.", COUNT),
]
CONSISTENCY = {
    "name": "consistency",
    "in": "query",
    "description": "`linearizable` sees every command answered before (asks the trader).",
    "schema": {"enum": ["local", "linearizable"], "default": "local"},
}


def query(name: str, most: int = bodies.INTEGER_MAX) -> Json:
    return {"name": name, "in": "query", "schema": COUNT | {"maximum": most}}


def path_part(name: str, schema: Json) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": schema}


PAGE = [query("after"), query("limit", 1000)]
OBJECT: Json = {"type": "object"}
ANSWER: Json = {"$ref": "#/components/schemas/Answer"}
BATCH_ANSWER: Json = {
    "type": "object",
    "required": ["answers"],
    "properties": {
        "answers": {
            "type": "array",
            "items": {"anyOf": [ANSWER, {"$ref": "#/components/schemas/Problem"}]},
        }
    },
}


def operation(
    summary: str,
    *,
    parameters: list[Json],
    answer: Json = OBJECT,
    errors: tuple[int, ...] = READ_ERRORS,
    body: str = "",
    success: int = 200,
) -> Json:
    index = {"Bazaar-Index": {"description": "`RING:INDEX`.", "schema": AT}}
    good = {"description": "Done.", "headers": index, "content": as_json(answer)}
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    bad = {"description": "A problem.", "content": {"application/problem+json": problem}}
    told: Json = {
        "summary": summary,
        "parameters": parameters,
        "responses": {str(success): good} | {str(status): bad for status in (FOREIGN, *errors)},
    }
    if body:
        schema = {"$ref": REF.format(name=body)}
        told["requestBody"] = {"required": body != "Resignation", "content": as_json(schema)}
    return told


def stream(summary: str, content: str, errors: Json) -> Json:
    good = {"description": "Done.", "content": {content: {}}}
    told = {"200": good, str(FOREIGN): {"description": "A page of another site asked."}}
    return {"summary": summary, "parameters": [], "responses": told | errors}


def as_json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def command(summary: str, body: str = "", *, parameters: list[Json] | None = None) -> Json:
    return operation(
        summary,
        parameters=[*COMMON, KEY, *(SESSION if parameters is None else parameters)],
        answer=ANSWER,
        errors=COMMAND_ERRORS,
        body=body,
    )


def asked(summary: str, body: str, success: int = 200) -> Json:
    """What one peer is asked to do, by who shows the ring's token."""
    errors = (400, 401, 404, 408, 409, 413, 415)
    return {"post": operation(summary, parameters=[], errors=errors, body=body, success=success)}


def look_up(summary: str, *parameters: Json) -> Json:
    errors = (400, 404, 409, 422, 429, 503, 504)
    return operation(summary, parameters=[*COMMON, *parameters], answer=ANSWER, errors=errors)


def read(summary: str, *parameters: Json) -> Json:
    return operation(summary, parameters=[*COMMON, CONSISTENCY, *parameters])


def bytes_of(told: Json) -> Json:
    """An operation whose success is bytes."""
    binary = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    told["responses"]["200"] = {"description": "Bytes; none at the end.", "content": binary}
    return told
