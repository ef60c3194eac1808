"""How the sources lie, which no linter of ours sees.

What the core must not contain is tests/simulation/test_core_is_deterministic.py's business.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("peer", "operator", "charts")
PRODUCT = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
MODULE_LINES, FUNCTION_LINES = 300, 50

LONG_MODULES: dict[str, str] = {}
LONG_FUNCTIONS = {
    "peer/bazaar_peer/core/peer.py:__init__": "what the parts share, listed once",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_no_module_lies_directly_in_operator() -> None:
    """It would shadow the standard library's `operator` for everything that runs from the root."""
    assert list((ROOT / "operator").glob("*.py")) == []


def test_every_product_module_says_what_it_is() -> None:
    silent = [path for path in PRODUCT if ast.get_docstring(ast.parse(path.read_text())) is None]

    assert silent == []


def test_modules_are_short_but_for_named_reasons() -> None:
    long = {name_of(path) for path in PRODUCT if len(path.read_text().splitlines()) > MODULE_LINES}

    assert long - LONG_MODULES.keys() == set()


def test_functions_are_short_but_for_named_reasons() -> None:
    long = {
        f"{name_of(path)}:{node.name}"
        for path in PRODUCT
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES
    }

    assert long - LONG_FUNCTIONS.keys() == set()
