"""Every way to be refused, named: status, problem+json, the field and what it should be."""

from __future__ import annotations

from typing import Any

import pytest

from bazaar_peer.core.outcomes import Status

from .conftest import Served

ORDER = {"item": "salt", "quantity": 1}
ORDERS, D, W = "/v1/orders", "/v1/deposits", "/v1/withdrawals"
JSON = {"Content-Type": "application/json"}

# name: method, path, body, headers, status, field
REFUSED: dict[str, tuple[str, str, Any, dict[str, str], int, str]] = {
    "no JSON": ("POST", ORDERS, b"{", JSON, 400, ""),
    "not UTF-8": ("POST", ORDERS, b'{"item":"\xff"}', JSON, 400, ""),
    "no object": ("POST", ORDERS, b"[]", JSON, 400, ""),
    "deep nesting": ("POST", ORDERS, b"[" * 60000, JSON, 400, ""),
    "empty body": ("POST", ORDERS, b"", JSON, 400, ""),
    "missing field": ("POST", ORDERS, {"item": "salt"}, {}, 400, "quantity"),
    "unknown field": ("POST", ORDERS, {**ORDER, "price": 1}, {}, 400, "price"),
    "quantity 0": ("POST", ORDERS, {**ORDER, "quantity": 0}, {}, 400, "quantity"),
    "quantity over 10^6": ("POST", ORDERS, {**ORDER, "quantity": 1000001}, {}, 400, "quantity"),
    "quantity no integer": ("POST", ORDERS, {**ORDER, "quantity": 1.5}, {}, 400, "quantity"),
    "quantity a boolean": ("POST", ORDERS, {**ORDER, "quantity": True}, {}, 400, "quantity"),
    "quantity a word": ("POST", ORDERS, {**ORDER, "quantity": "1"}, {}, 400, "quantity"),
    "quantity beyond 64 bits": ("POST", ORDERS, {**ORDER, "quantity": 10**30}, {}, 400, "quantity"),
    "item in capitals": ("POST", ORDERS, {**ORDER, "item": "Salt"}, {}, 400, "item"),
    "item with a newline": ("POST", ORDERS, {**ORDER, "item": "salt\n"}, {}, 400, "item"),
    "item too long": ("POST", ORDERS, {**ORDER, "item": "a" * 33}, {}, 400, "item"),
    "buyer no name": ("POST", ORDERS, {**ORDER, "buyer": "<b>"}, {}, 400, "buyer"),
    "buyer null": ("POST", ORDERS, {**ORDER, "buyer": None}, {}, 400, "buyer"),
    "price 0": ("POST", D, {**ORDER, "price": 0}, {}, 400, "price"),
    "price over 10^9": ("POST", D, {**ORDER, "price": 10**9 + 1}, {}, 400, "price"),
    "lot 0 in a body": ("POST", W, {"lot": 0, "quantity": 1}, {}, 400, "lot"),
    "lot no number": ("PATCH", "/v1/lots/x", {"price": 1}, {}, 400, "lot"),
    "lot 0": ("PATCH", "/v1/lots/0", {"price": 1}, {}, 400, "lot"),
    "client with a space": ("POST", ORDERS, ORDER, {"Bazaar-Client": "a b"}, 400, "Bazaar-Client"),
    "client empty": ("POST", ORDERS, ORDER, {"Bazaar-Client": ""}, 400, "Bazaar-Client"),
    "key too long": ("POST", ORDERS, ORDER, {"Idempotency-Key": "k" * 65}, 400, "Idempotency-Key"),
    "key empty": ("POST", ORDERS, ORDER, {"Idempotency-Key": ""}, 400, "Idempotency-Key"),
    "deadline too short": (
        "POST",
        ORDERS,
        ORDER,
        {"Bazaar-Deadline": "0.05"},
        400,
        "Bazaar-Deadline",
    ),
    "deadline too long": ("POST", ORDERS, ORDER, {"Bazaar-Deadline": "61"}, 400, "Bazaar-Deadline"),
    "deadline nan": ("POST", ORDERS, ORDER, {"Bazaar-Deadline": "nan"}, 400, "Bazaar-Deadline"),
    "deadline no number": (
        "POST",
        ORDERS,
        ORDER,
        {"Bazaar-Deadline": "soon"},
        400,
        "Bazaar-Deadline",
    ),
    "index negative": ("POST", ORDERS, ORDER, {"Bazaar-Index": "-1"}, 400, "Bazaar-Index"),
    "index beyond 64 bits": (
        "POST",
        ORDERS,
        ORDER,
        {"Bazaar-Index": "9" * 19},
        400,
        "Bazaar-Index",
    ),
    "index of another ring": (
        *("POST", ORDERS, ORDER, {"Bazaar-Index": "ring-0:7"}),
        *(409, "Bazaar-Index"),
    ),
    "index of another ring, read": (
        *("GET", "/v1/stock", None, {"Bazaar-Index": "ring-0:7"}),
        *(409, "Bazaar-Index"),
    ),
    "index of no ring": ("POST", ORDERS, ORDER, {"Bazaar-Index": ":7"}, 400, "Bazaar-Index"),
    "ring without an index": (
        *("POST", ORDERS, ORDER, {"Bazaar-Index": "stub:"}),
        *(400, "Bazaar-Index"),
    ),
    "session without number": (
        "POST",
        ORDERS,
        ORDER,
        {"Bazaar-Session": "5"},
        400,
        "Bazaar-Number",
    ),
    "number without session": (
        "POST",
        ORDERS,
        ORDER,
        {"Bazaar-Number": "5"},
        400,
        "Bazaar-Session",
    ),
    "session 0": ("POST", ORDERS, ORDER, {"Bazaar-Session": "0"}, 400, "Bazaar-Session"),
    "floor no number": (
        *("POST", ORDERS, ORDER),
        {"Bazaar-Session": "1", "Bazaar-Number": "1", "Bazaar-Floor": "x"},
        *(400, "Bazaar-Floor"),
    ),
    "session to open one": (
        *("POST", "/v1/sessions", None),
        {"Bazaar-Session": "1", "Bazaar-Number": "1"},
        *(400, "Bazaar-Session"),
    ),
    "batch empty": ("POST", ORDERS + "/batch", {"orders": []}, {}, 400, "orders"),
    "batch of 257": (
        *("POST", ORDERS + "/batch", {"orders": [{**ORDER, "key": "k"}] * 257}),
        *({}, 400, "orders"),
    ),
    "batch without a key": ("POST", ORDERS + "/batch", {"orders": [ORDER]}, {}, 400, "key"),
    "batch key no token": (
        *("POST", ORDERS + "/batch", {"orders": [{**ORDER, "key": "a b"}]}),
        *({}, 400, "orders[0].key"),
    ),
    "key to look up": ("GET", "/v1/commands/a%20b", None, {}, 400, "key"),
    "key unknown": ("GET", "/v1/commands/k", None, {}, 404, ""),
    "session to close": ("DELETE", "/v1/sessions/x", None, {}, 400, "id"),
    "number to look up": ("GET", "/v1/sessions/1/x", None, {}, 400, "number"),
    "number unknown": ("GET", "/v1/sessions/1/1", None, {}, 404, ""),
    "consistency": ("GET", "/v1/stock?consistency=strong", None, {}, 400, "consistency"),
    "after": ("GET", "/v1/trades?after=x", None, {}, 400, "after"),
    "limit": ("GET", "/v1/journal?limit=1001", None, {}, 400, "limit"),
    "path unknown": ("GET", "/v1/nothing", None, {}, 404, ""),
    "nowhere": ("GET", "/nowhere", None, {}, 404, ""),
    "method": ("GET", ORDERS, None, {}, 405, ""),
    "other content": (
        "POST",
        ORDERS,
        b"item=salt",
        {"Content-Type": "text/plain"},
        415,
        "Content-Type",
    ),
    "compressed": (
        *("POST", ORDERS, b"x", {**JSON, "Content-Encoding": "gzip"}),
        *(415, "Content-Encoding"),
    ),
    "over 64 KiB": ("POST", ORDERS, b" " * 65537, JSON, 413, ""),
    "batch over 256 KiB": ("POST", ORDERS + "/batch", b" " * 262145, JSON, 413, ""),
    "no handshake": ("GET", "/v1/session", None, {}, 400, "Upgrade"),
    "expectation": ("POST", ORDERS, ORDER, {"Expect": "a miracle"}, 417, ""),
    "successor no member": ("POST", "/v1/resign", {"successor": 7}, {}, 400, "successor"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
async def test_a_wrong_request_is_answered_with_a_problem_that_names_the_field(
    served: Served, case: tuple[str, str, Any, dict[str, str], int, str]
) -> None:
    method, path, body, headers, status, field = case

    found, problem, answered = await served.ask(method, path, body, headers)

    assert found == status, problem
    assert answered["Content-Type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["detail"]
    assert problem.get("field", "").endswith(field)
    assert bool(field) == ("field" in problem)
    assert served.core.commands == []


async def test_405_names_the_methods_that_are_allowed(served: Served) -> None:
    _, _, headers = await served.ask("GET", ORDERS)

    assert headers["Allow"] == "OPTIONS,POST"


OUTCOMES = {
    Status.OTHER_BODY: (422, False),
    Status.EXPIRED: (504, False),
    Status.KEYS_FULL: (429, True),
    Status.NO_SESSION: (409, False),
    Status.SESSIONS_FULL: (429, True),
    Status.BUSY: (429, True),
    Status.NEVER_SENT: (503, True),
    Status.UNKNOWN: (504, False),
    Status.OUT_OF_WINDOW: (422, False),
}


def test_every_status_without_a_result_has_a_problem() -> None:
    assert set(OUTCOMES) == set(Status) - {Status.OK}


@pytest.mark.parametrize("status", OUTCOMES)
async def test_what_came_to_no_result_is_a_problem(served: Served, status: Status) -> None:
    served.core.status = status
    code, retry = OUTCOMES[status]

    found, problem, headers = await served.ask("POST", ORDERS, ORDER)

    assert (found, problem["status"]) == (code, code)
    assert ("Retry-After" in headers) == retry
    if code == 504:
        assert problem["detail"].startswith("unknown: ")


async def test_a_full_peer_answers_429_before_anything_is_sent(served: Served) -> None:
    served.driver._requests_max = 0

    found, _, headers = await served.ask("POST", ORDERS, ORDER)

    assert found == 429
    assert headers["Retry-After"] == "1"
    assert served.core.commands == []


async def test_a_read_that_no_trader_answers_is_503(served: Served) -> None:
    served.core.status = Status.NEVER_SENT

    found, _, headers = await served.ask("GET", "/v1/stock?consistency=linearizable")

    assert found == 503
    assert "Retry-After" in headers


async def test_not_ready_is_503_and_alive_all_the_same(served: Served) -> None:
    served.core.ready = False

    assert (await served.ask("GET", "/readyz"))[0] == 503
    assert (await served.ask("GET", "/healthz"))[0] == 200


async def test_only_the_trader_can_resign(served: Served) -> None:
    served.core.is_trader = False

    assert (await served.ask("POST", "/v1/resign"))[0] == 409


async def test_a_failing_handler_shows_no_trace(served: Served) -> None:
    served.core.state.machine = None

    found, problem, headers = await served.ask("GET", "/v1/stock")

    assert found == 500
    assert headers["Content-Type"] == "application/problem+json"
    assert "Traceback" not in str(problem)


# name: body of an order, what the answer says
SAID: dict[str, tuple[Any, str]] = {
    "a bad name": (
        {**ORDER, "item": "Salt"},
        "item should be 1 to 32 characters, each of them a letter a-z, a digit or -, and the "
        "first one not -",
    ),
    "too little": ({**ORDER, "quantity": 0}, "quantity should be a whole number, 1 at least"),
    "too much": (
        {**ORDER, "quantity": 10**7},
        "quantity should be a whole number, 1000000 at most",
    ),
    "a fraction": (
        {**ORDER, "quantity": 1.5},
        "quantity should be a whole number, not a number with a fraction",
    ),
    "a word": ({**ORDER, "quantity": "1"}, "quantity should be a whole number, not text"),
    "nothing": ({"item": "salt"}, "quantity is missing"),
    "too many fields": ({**ORDER, "price": 1}, "price is not known here; leave it out"),
    "a list": (b"[]", "the body should be an object, not a list"),
    "half a body": (b'{"item":', "the body should be JSON; this ends too early, or is empty"),
    "no JSON": (b"{item}", "the body should be JSON: object keys must be strings (byte 1)"),
    "no text": (
        b'{"\xff":1}',
        "the body should be JSON in UTF-8; this has bytes that are none",
    ),
}


@pytest.mark.parametrize(("body", "said"), SAID.values(), ids=SAID.keys())
async def test_a_wrong_body_is_told_in_plain_words(served: Served, body: Any, said: str) -> None:
    """What is wrong and how to mend it; no pattern, no type of Python."""
    _, problem, _ = await served.ask("POST", ORDERS, body, JSON)

    assert problem["detail"] == said


@pytest.mark.parametrize(
    "case",
    [case for case in REFUSED.values() if case[4] == 400],
    ids=[name for name, case in REFUSED.items() if case[4] == 400],
)
async def test_no_400_shows_a_pattern_or_a_type(
    served: Served, case: tuple[str, str, Any, dict[str, str], int, str]
) -> None:
    """The field is named in the sentence too."""
    method, path, body, headers, _, field = case

    _, problem, _ = await served.ask(method, path, body, headers)

    assert not any(mark in problem["detail"] for mark in ("\\", "`", "regex", "^", "{"))
    assert field == "Upgrade" or field.rpartition(".")[2] in problem["detail"]
