"""Options of the whole suite."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--requests",
        type=int,
        default=10_000,
        help="how many random, malformed and oversized requests tests/fuzz sends",
    )
