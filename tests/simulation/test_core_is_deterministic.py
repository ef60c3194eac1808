"""What would make two runs of one seed differ is not in the core."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import bazaar_peer.core

FILES = sorted(Path(bazaar_peer.core.__file__).parent.glob("*.py"))
MODULES = {"time", "random", "os", "uuid", "secrets", "datetime", "threading", "asyncio"}
CALLS = {"hash", "id", "float", "open", "input", "print"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_core_module_uses_nothing_that_differs_between_runs(path: Path) -> None:
    found = [wrong for node in ast.walk(ast.parse(path.read_text())) for wrong in _wrong(node)]

    assert found == []


def _wrong(node: ast.AST) -> list[str]:
    line = getattr(node, "lineno", 0)
    match node:
        case ast.Import(names=names):
            return [f"{line}: imports {n.name}" for n in names if n.name in MODULES]
        case ast.ImportFrom(module=module) if module in MODULES:
            return [f"{line}: imports {module}"]
        case ast.Call(func=ast.Name(id=name)) if name in CALLS:
            return [f"{line}: calls {name}()"]
        case ast.For(iter=source) | ast.comprehension(iter=source) if _is_set(source):
            return [f"{line}: iterates over a set"]
        case ast.Constant(value=float()):
            return [f"{line}: a float"]
        case ast.BinOp(op=ast.Div()):
            return [f"{line}: divides into a float"]
        case _:
            pass
    return []


def _is_set(source: ast.expr) -> bool:
    call = isinstance(source, ast.Call) and isinstance(source.func, ast.Name)
    named = call and source.func.id in {"set", "frozenset"}  # type: ignore[attr-defined]
    return named or isinstance(source, ast.Set | ast.SetComp)
