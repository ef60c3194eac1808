"""What a request can come to: statuses of committed answers, and of requests without one."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """`OK … SESSIONS_FULL` are results of committed entries; the rest speak of one request only."""

    OK = 0
    OTHER_BODY = 1  # same number or key, other body: 422
    EXPIRED = 2  # came too late to be told apart from a forgotten key: 504
    KEYS_FULL = 3  # 429, committed
    NO_SESSION = 4  # 409
    SESSIONS_FULL = 5  # 429, committed
    BUSY = 6  # 429, nothing was sent
    NEVER_SENT = 7  # 503 at the deadline
    UNKNOWN = 8  # 504 at the deadline, sent before
    OUT_OF_WINDOW = 9  # number below the floor or beyond the window: 422
