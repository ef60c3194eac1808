"""How the sources lie and what the core must not contain: what no linter of ours sees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = sorted((ROOT / "peer/bazaar_peer/core").glob("*.py"))
PRODUCT = sorted(path for folder in ("peer", "operator") for path in (ROOT / folder).rglob("*.py"))
MODULE_LINES, FUNCTION_LINES = 300, 50

LONG_MODULES = {
    "core/trader.py": "one reign, whose counters every part of it reads",
    "core/ingress.py": "a request's whole life, which its states share",
    "core/messages.py": "all messages and records, read as one table",
    "core/peer.py": "the only entry and what the parts share",
    "simulation/world.py": "the one loop that everything simulated hangs on",
}
LONG_FUNCTIONS = {
    "command/app.py:up": "options with their help, one line each",
}
BANNED_CALLS = {"hash", "id", "float", "round", "vars", "globals", "input", "open", "print"}
BANNED_MODULES = {"time", "datetime", "random", "secrets", "os", "uuid", "threading", "asyncio"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT / "peer/bazaar_peer").as_posix()


def test_no_module_lies_directly_in_operator() -> None:
    """It would shadow the standard library's `operator` for everything that runs from the root."""
    assert list((ROOT / "operator").glob("*.py")) == []


def test_every_product_module_says_what_it_is() -> None:
    silent = [path for path in PRODUCT if ast.get_docstring(ast.parse(path.read_text())) is None]

    assert silent == []


def test_modules_are_short_but_for_named_reasons() -> None:
    long = {
        name_of(path)
        for path in PRODUCT
        if path.is_relative_to(ROOT / "peer/bazaar_peer")
        and len(path.read_text().splitlines()) > MODULE_LINES
    }

    assert long == LONG_MODULES.keys()


def test_functions_are_short_but_for_named_reasons() -> None:
    long = {
        f"{name_of(path)}:{node.name}"
        for path in PRODUCT
        if path.is_relative_to(ROOT / "peer/bazaar_peer")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES
    }

    assert long == LONG_FUNCTIONS.keys()


# ---- what makes outcomes depend on anything but the journal --------------------------------------


def impure(tree: ast.AST) -> Iterator[str]:
    """Yield what must not be in the core, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in BANNED_CALLS:
                yield f"line {node.lineno}: {name}()"
            case ast.Constant(value=float()):
                yield f"line {node.lineno}: a float"
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield f"line {node.lineno}: a division that makes a float"
            case ast.Import(names=names):
                for name in names:
                    if name.name.partition(".")[0] in BANNED_MODULES:
                        yield f"line {node.lineno}: import {name.name}"
            case ast.ImportFrom(module=str(module)):
                if module.partition(".")[0] in BANNED_MODULES:
                    yield f"line {node.lineno}: from {module}"
            case ast.For(iter=source) | ast.comprehension(iter=source) if is_set(source):
                yield f"line {source.lineno}: iterates over a set"
            case ast.Call(func=ast.Name(id="list" | "tuple" | "dict" | "next" | "iter"), args=args):
                if any(is_set(arg) for arg in args):
                    yield f"line {node.lineno}: takes a set's order"
            case _:
                pass


def is_set(node: ast.expr) -> bool:
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case ast.BinOp(left=left, right=right, op=ast.BitOr() | ast.BitAnd() | ast.Sub()):
            return is_set(left) or is_set(right)
        case _:
            return False


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_core_is_a_function_of_its_inputs(path: Path) -> None:
    """Its outcomes must be the same in every process: no order of sets, no clock, no floats."""
    assert list(impure(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize(
    "source",
    [
        "hash(x)",
        "id(x)",
        "y = 0.5",
        "y = a / b",
        "y /= 2",
        "import time",
        "from os import path",
        "for x in {1, 2}: pass",
        "[x for x in set(y)]",
        "list(set(a) | b)",
        "next(iter({1}))",
    ],
)
def test_lint_of_the_core_sees(source: str) -> None:
    assert list(impure(ast.parse(source)))


@pytest.mark.parametrize("source", ["y = a // b", "x in {1, 2}", "quorum({me, *others})"])
def test_lint_of_the_core_lets_pass(source: str) -> None:
    assert list(impure(ast.parse(source))) == []
