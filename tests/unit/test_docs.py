"""The pages name what exists: messages, files, rules, commands, targets and paths."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.main import get_command

from bazaar_peer.command.app import app
from bazaar_peer.core import messages
from bazaar_peer.core.machine import Context, Machine
from bazaar_peer.runtime.openapi import PATHS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROTOCOL = (ROOT / "docs/protocol.md").read_text()
README = (ROOT / "README.md").read_text()
FOLDERS = ("peer", "operator", "charts", "k8s", "tests", "bench", "docs")
WRITTEN_BY_RUNS = "docs/evidence/"

RULE = re.compile(r"\b[RNTCDUHKS][1-9]\d?\b")
ROW = re.compile(r"\brows? (\d+)(?: and (\d+))?")
PATH_IN_CODE = re.compile(r"`([\w./-]+(?:\.py|\.md|\.toml|\.txt|/))`")
LINK = re.compile(r"\]\((?!http)([^)#]+)[^)]*\)")


@cache
def files() -> list[str]:
    """Every file and folder of the project, the latter with a slash behind."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    found += [path for path in ROOT.iterdir() if path.is_file()]
    named = [path.relative_to(ROOT).as_posix() + "/" * path.is_dir() for path in found]
    return [name for name in named if "__pycache__" not in name] + [f"{f}/" for f in FOLDERS]


def exists(name: str) -> bool:
    return any(f"/{file}".endswith(f"/{name}") for file in files())


def sources(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if path != Path(__file__)]


def rules_stated() -> set[str]:
    return set(re.findall(r"\*\*([A-Z]\d+)\*\*", PROTOCOL))


def rows_stated() -> set[int]:
    section = PROTOCOL.partition("\n## Scenarios")[2].partition("\n## ")[0]
    rows: set[int] = set()
    for cell in re.findall(r"^\| ([\d, –]+) \|", section, re.MULTILINE):
        for part in cell.split(","):
            first, _, last = part.strip().partition("–")
            rows |= set(range(int(first), int(last or first) + 1))
    return rows


def test_every_message_stands_in_the_message_table() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", PROTOCOL, re.MULTILINE))

    assert {message.__name__ for message in get_args(messages.Message)} == named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    missing = [name for name in PATH_IN_CODE.findall(text) if not exists(name)]
    missing += [link for link in LINK.findall(text) if not (page.parent / link).exists()]

    assert [name for name in missing if not name.startswith(WRITTEN_BY_RUNS)] == []


@pytest.mark.parametrize("folders", [("tests",), ("peer", "bench")], ids=lambda f: f[0])
def test_every_rule_that_is_quoted_is_stated(folders: tuple[str, ...]) -> None:
    quoted = {rule for path in sources(*folders) for rule in RULE.findall(path.read_text())}

    assert quoted - rules_stated() == set()


def test_every_scenario_that_is_quoted_is_told() -> None:
    found = [row for path in sources("peer", "tests") for row in ROW.findall(path.read_text())]
    quoted = {int(number) for row in found for number in row if number}

    assert quoted - rows_stated() == set()


def test_every_rule_names_the_tests_that_quote_it() -> None:
    """The table lists at most what is there: it may lag behind, but never point to nothing."""
    table = PROTOCOL.partition("\n## Rules and their tests")[2]
    rows = re.findall(r"^\| ([RNTCDUHKS]\d+) \| (.+) \|$", table, re.MULTILINE)

    assert rows
    for rule, tests in rows:
        for name in re.findall(r"`([^`]+)`", tests):
            assert rule in RULE.findall((ROOT / name).read_text()), f"{name} does not quote {rule}"


def test_every_command_in_the_readme_exists() -> None:
    group: Any = get_command(app)
    named = set(re.findall(r"(?:^ +|`)bazaar ([a-z]+)", README, re.MULTILINE))

    assert named
    assert named - set(group.commands) == set()


def test_every_make_target_in_the_pages_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    in_code = re.compile(r"(?:^ +|`)make ([a-z0-9 -]+)", re.MULTILINE)
    named = {
        t for page in PAGES for code in in_code.findall(page.read_text()) for t in code.split()
    }

    assert named
    assert named - targets == set()


def test_every_path_of_the_interface_is_told() -> None:
    told = (ROOT / "docs/http.md").read_text()
    untold = [path for path in PATHS if path not in told or path not in README]

    assert untold == []


def test_the_example_machine_is_one() -> None:
    """A new state machine is as short as the page says, and keeps its snapshot's bytes."""
    page = (ROOT / "docs/architecture.md").read_text()
    code = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    space: dict[str, Any] = {"__name__": "bazaar_peer.example"}
    exec("\n".join(code), space)
    locks: Machine = space["Locks"]()
    copy: Machine = space["Locks"]()
    ali, zoe = Context(), Context()
    ali.client, zoe.client = "ali", "zoe"

    assert locks.apply(b'{"lock": "door", "take": true}', ali) == b'{"outcome":"taken"}'
    assert locks.apply(b'{"lock": "door", "take": true}', zoe) == b'{"outcome":"held"}'
    assert locks.apply(b"?", zoe) == b'{"outcome":"invalid"}'
    for part in locks.snapshot():
        copy.restore(part)
    assert copy.hash() == locks.hash()
    assert locks.apply(b'{"lock": "door", "take": false}', ali) == b'{"outcome":"freed"}'
