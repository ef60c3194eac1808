"""Options of the whole suite."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# aiohttp reads whom the whole system trusts wherever it is imported, a sixth of a second each time,
# in hundreds of programs; no test trusts anybody but whom it names itself.
os.environ.setdefault("SSL_CERT_FILE", os.devnull)
os.environ.setdefault("SSL_CERT_DIR", os.devnull)

# How long an example takes is the machine's business: a busy one fails no test by it.
settings.register_profile("bazaar", deadline=None)
settings.load_profile("bazaar")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--requests",
        type=int,
        default=10_000,
        help="how many random, malformed and oversized requests tests/fuzz sends",
    )
    parser.addoption(
        "--golden",
        action="store_true",
        help="write the golden files of tests/unit/operator anew; look at the difference with git",
    )
    parser.addoption(
        "--matrix",
        type=int,
        default=0,
        help="runs of each fault of the process matrix with 3, 5 and 6 peers; 0: the short matrix",
    )
    parser.addoption(
        "--e2e",
        action="store_true",
        help="run tests/e2e on a kind cluster; `make e2e` does",
    )
