"""Options that cannot be are refused before anything is done."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bazaar_peer.command.app import app
from bazaar_peer.command.drill.plan import Kind, MisuseError, Options, check


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"times": 0}, "--times"),
        ({"times": 10_001}, "--times"),
        ({"rate": 0.5}, "--rate"),
        ({"rate": 1001.0}, "--rate"),
        ({"buyers": 0}, "--buyers"),
        ({"seconds": 0.0}, "--seconds"),
        ({"seconds": 61.0}, "--seconds"),
        ({"max_interregnum_ms": 0.0}, "--max-interregnum"),
        ({"max_interregnum_ms": math.nan}, "--max-interregnum is more than 0 ms, not nan"),
        ({"max_interregnum_ms": math.inf}, "--max-interregnum"),
        ({"rate": math.nan}, "--rate"),
        ({"seconds": math.nan}, "--seconds"),
        ({"times": 1000}, "at --rate 200 that is up to 12,300,200 orders, and a load has 10,000,"),
        ({"times": 300, "name": "shop"}, "each waits up to 180 s for the ring to settle"),
        ({"kind": Kind.RESIGN, "follower": True}, "only the trader resigns"),
        ({"kind": Kind.PAUSE, "name": "bazaar", "seconds": 21}, "paused for 20 s at most, not 21"),
        ({"kind": Kind.DRAIN}, "--namespace and --name"),
        ({"context": "kind-bazaar"}, "--context chooses a cluster: name its Bazaar by --name"),
        ({"report": Path("/nowhere/at/all")}, "there is no folder /nowhere/at"),
        ({"report": Path(__file__)}, "is there already"),
        ({"report": Path(__file__).parent}, "is there already, and not empty"),
    ],
)
def test_options_that_cannot_be_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(MisuseError, match=said):
        check(Options(**{"kind": Kind.CRASH, **given}))


def test_times_are_as_many_as_a_load_has_orders_for() -> None:
    check(Options(kind=Kind.CRASH, times=800))
    check(Options(kind=Kind.CRASH, times=10_000, rate=15.0))
    check(Options(kind=Kind.CRASH, times=250, name="shop"))


def test_empty_folder_takes_a_report(tmp_path: Path) -> None:
    check(Options(kind=Kind.CRASH, report=tmp_path))
    check(Options(kind=Kind.CRASH, report=tmp_path / "new"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["crash", "--url", "http://192.0.2.7:8600"], "--namespace and --name"),
        (["crash", "--url", "http://bazaar.example:8600"], "--namespace and --name"),
        (["drain"], "--namespace and --name"),
        (["crash", "--url", "http://127.0.0.1:1", "--name", "bazaar"], "not by both"),
        (["burn"], "burn"),
    ],
)
def test_misuse_ends_with_2_and_writes_nothing(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    done = CliRunner().invoke(app, ["drill", *words])

    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_nobody_there_is_a_failure_and_no_misuse() -> None:
    done = CliRunner().invoke(app, ["drill", "crash", "--url", "http://127.0.0.1:9", "--no-report"])

    assert done.exit_code == 1
    assert "no answer from http://127.0.0.1:9" in done.stderr
