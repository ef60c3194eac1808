"""What a planted bug is: patches of the core, put in for a while and taken out again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Patch = tuple[Any, str, Any]
PLANTS: dict[str, Callable[[], list[Patch]]] = {}


def plant(make: Callable[[], list[Patch]]) -> Callable[[], list[Patch]]:
    PLANTS[make.__name__] = make
    return make


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Put a bug in, and take it out again; no name: none."""
    patches = PLANTS[name]() if name else []
    before = [(owner, attribute, owner.__dict__[attribute]) for owner, attribute, _ in patches]
    for owner, attribute, replacement in patches:
        setattr(owner, attribute, replacement)
    try:
        yield
    finally:
        for owner, attribute, original in before:
            setattr(owner, attribute, original)
