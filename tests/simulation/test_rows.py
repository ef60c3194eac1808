"""The table of rows names a script or a test for each, and each exists and quotes its row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bazaar_peer.simulation.scripts import SCRIPTS

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs/evidence/simulator.md").read_text()
ROWS = [*range(1, 32), *range(40, 54), *range(60, 87)]
SECTION = PAGE.partition("## Scenarios by row")[2]
TABLE = dict(re.findall(r"^\| (\d+) \| (.+) \|$", SECTION, re.MULTILINE))
NAMES = sorted(set(re.findall(r"`([\w/.]+::\w+|[a-z]+(?:_[a-z0-9]+){4,})`", PAGE)))


def test_every_row_is_in_the_table() -> None:
    assert [int(row) for row in TABLE] == ROWS


@pytest.mark.parametrize("row", [row for row in TABLE if not TABLE[row].startswith("later: ")])
def test_row_is_shown_by_something_that_quotes_it(row: str) -> None:
    names = re.findall(r"`([^`]+)`", TABLE[row])

    assert names
    for name in names:
        path, _, test = name.partition("::")
        if test:
            body = (TESTS / path).read_text().partition(f"def {test}(")[2]
            quoted = re.findall(r"\d+", body.partition('"""')[2].partition('"""')[0])
        else:
            quoted = re.findall(r"_(\d+)", name)
        assert row in quoted, f"{name} does not quote row {row}"


@pytest.mark.parametrize("name", NAMES)
def test_what_the_page_names_exists(name: str) -> None:
    path, _, test = name.partition("::")

    assert name in SCRIPTS if not test else f"def {test}(" in (TESTS / path).read_text()


def test_every_script_is_named_on_the_page() -> None:
    assert SCRIPTS.keys() - set(NAMES) == set()


def test_every_script_names_a_planted_bug() -> None:
    assert [name for name, (_, plants) in SCRIPTS.items() if not plants] == []
