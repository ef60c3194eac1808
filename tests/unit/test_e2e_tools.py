"""Programs that the end-to-end tests call: again while nobody took them, and only then."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.e2e import tools

FAILS = """
import pathlib, sys
times = pathlib.Path({path!r})
number = len(times.read_text()) if times.exists() else 0
times.write_text("x" * (number + 1))
if number < {fails}:
    sys.exit({said!r})
print("done")
"""
AWAY = "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host"
RESET = "Unable to connect to the server: read tcp: connection reset by peer"
KUBELET = (
    "error: Internal error occurred: error sending request: "
    'Post "https://172.18.0.2:10250/exec/shop/bazaar-0/peer?command=bazaar": '
    "dial tcp 172.18.0.2:10250: connect: connection refused"
)
PEER = "dial tcp 10.244.1.7:8600: connect: connection refused"


@pytest.fixture
def times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tools, "AGAIN_S", 0.01)
    return tmp_path / "times"


def program(times: Path, fails: int, said: str) -> str:
    return tools.run(sys.executable, "-c", FAILS.format(path=str(times), fails=fails, said=said))


@pytest.mark.parametrize("said", [AWAY, RESET, KUBELET])
def test_api_server_or_kubelet_that_is_away_is_waited_for(times: Path, said: str) -> None:
    assert program(times, 2, said) == "done\n"
    assert len(times.read_text()) == 3


@pytest.mark.parametrize("said", ["Error from server (Forbidden): no", PEER])
def test_what_somebody_else_refused_is_not_asked_again(times: Path, said: str) -> None:
    with pytest.raises(tools.ProgramError, match=re.escape(said)):
        program(times, 1, said)
    assert len(times.read_text()) == 1


def test_one_that_stays_away_is_given_up(times: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "UNREACHED_S", 0.0)
    with pytest.raises(tools.ProgramError, match="was refused"):
        program(times, 9, AWAY)
