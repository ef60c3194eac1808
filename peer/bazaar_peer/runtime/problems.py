"""Errors as a client sees them: `application/problem+json` (RFC 9457), and nothing else.

A `Problem` raised anywhere in a handler becomes the answer. What a request can come to without an
outcome (outcomes.py) has its problem here, and every one says what the client can do next.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from bazaar_peer.core.outcomes import Status
from bazaar_peer.runtime.wording import told

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = 1


class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """An answer that is no success."""

    def __init__(
        self, status: int, detail: str, *, field: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.field = status, detail, field
        self.headers = headers or {}
        if status in {429, 503}:
            self.headers.setdefault("Retry-After", str(RETRY_AFTER_S))

    def body(self, **more: object) -> dict[str, Any]:
        problem: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.field:
            problem["field"] = self.field
        return problem | more

    def response(self) -> web.Response:
        return web.Response(
            status=self.status,
            body=msgspec.json.encode(self.body()),
            headers=self.headers | {"Content-Type": CONTENT_TYPE},
        )


def wrong(field: str, should: str) -> Problem:
    """A 400 that names the field and says what it should be."""
    return Problem(400, f"{field} should be {should}", field=field)


OUTCOMELESS = {
    Status.OTHER_BODY: (
        422,
        "this key or number was used with another body: repeat that one, or choose another key",
    ),
    Status.EXPIRED: (504, "unknown: an earlier attempt may have been executed; look it up"),
    Status.KEYS_FULL: (
        429,
        "as many keys are remembered as fit; send it again later, or in a session of your own",
    ),
    Status.NO_SESSION: (
        409,
        "no such session: it was closed, expired, or never opened; POST /v1/sessions opens one",
    ),
    Status.SESSIONS_FULL: (
        429,
        "as many sessions are open as fit; close one, or try again later",
    ),
    Status.BUSY: (
        429,
        "this peer has too many requests under way; nothing was sent: send it again later",
    ),
    Status.NEVER_SENT: (503, "no trader took the request before its deadline; it was never sent"),
    Status.UNKNOWN: (
        504,
        "unknown: look it up by its key or number, or send it again with the same one",
    ),
    Status.OUT_OF_WINDOW: (
        422,
        "the number is below the floor or beyond the session's window: count on from the last one"
        " used, and raise the floor as answers come",
    ),
}


def problem_of(status: int) -> Problem:
    """Return the problem of a request that came to this status."""
    code, detail = OUTCOMELESS[Status(status)]
    return Problem(code, detail)


def from_http(response: web.StreamResponse) -> web.StreamResponse:
    """Turn an error of aiohttp's own (no route, too large, …) into a problem."""
    if not isinstance(response, web.HTTPException) or response.status < 400:
        return response
    headers = {"Allow": response.headers["Allow"]} if "Allow" in response.headers else {}
    allowed = headers.get("Allow", "")
    detail = {
        404: "there is nothing at this path; /openapi.json lists what there is",
        405: f"this path does not take this method, but {allowed}",
    }
    text = detail.get(response.status, response.reason)
    return Problem(response.status, text, headers=headers).response()


def from_validation(error: Exception) -> Problem:
    """Turn a body that did not decode into a 400 that says what which field should be."""
    text, _, at = str(error).partition(" - at `$")
    path = at.strip("`.")
    name = text.partition("field `")[2].partition("`")[0]
    field = ".".join(part for part in (path, name) if part)
    return Problem(400, f"{field or 'the body'} {told(text)}", field=field)
