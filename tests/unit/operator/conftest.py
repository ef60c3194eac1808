"""Golden files: what the builders and the chart make, kept as files that a person can read.

`pytest tests/unit/operator --golden` writes them anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

GOLDEN = Path(__file__).parent / "golden"

Golden = Callable[[str, Sequence[Any]], None]


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare objects with a golden file, or write it if that was asked for."""

    def compare(name: str, objects: Sequence[Any]) -> None:
        path = GOLDEN / f"{name}.yaml"
        plain = json.loads(json.dumps(list(objects)))
        if request.config.getoption("--golden"):
            path.write_text(
                yaml.safe_dump_all(plain, sort_keys=False, width=100, allow_unicode=True)
            )
        assert plain == list(yaml.safe_load_all(path.read_text()))

    return compare
