"""What a real ring went through is kept by its peers, survives a kill -9, and is told in order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from bazaar_peer.command.recording import collected
from bench.rig import Ring, kill
from tests.integration.ring.conftest import (
    StartRing,
    ask,
    bazaar,
    buying,
    deposit,
    order,
    reigns,
    take_ports,
    trader_of,
    until,
)

Told = dict[str, Any]


def record(rig: Ring, peer: int, query: str = "") -> Told:
    answer = ask(rig, peer, f"GET /v1/record{query}")
    assert answer.status == 200, answer
    return answer.body


def kill_trader(rig: Ring) -> int:
    trader = trader_of(rig)
    kill(int(trader["pid"]), signal.SIGKILL)
    return int(trader["id"])


def epochs(told: list[Told]) -> list[int]:
    return [one["fields"]["epoch"] for one in told if one.get("note") == "reign_begun"]


async def test_an_election_after_a_kill_is_told_with_every_message(start: StartRing) -> None:
    rig = start(3, "--no-agents", "--restart-after", "0.2")
    deposit(rig, 0, "stock")
    order(rig, 1, "before")
    old = kill_trader(rig)
    until(lambda: trader_of(rig)["id"] != old, "another trader")
    until(lambda: rig.own(old), "the old trader is back")

    told = (await collected(f"http://127.0.0.1:{rig.ports[0]}", 0)).entries

    assert [one["at"] for one in told] == sorted(one["at"] for one in told)
    assert len(epochs(told)) >= 2
    assert set(epochs(told)) <= set(reigns(rig.data, 3))
    names = {one["message"] for one in told if one["kind"] == "got"}
    assert {"Election", "IWon", "Promise"} <= names
    causes = [one["cause"] for one in told if one["kind"] == "got"]
    marks = {(one["peer"], one["boot"], one["seq"]): one for one in told if one["kind"] == "sent"}
    assert all(tuple(cause) in marks for cause in causes if cause)
    # What the killed one sent and nobody noted in time is all that may have no cause.
    assert sum(cause is None for cause in causes) <= 2
    # The old trader's own part was not lost with its process, and says how that ended.
    ends = [one for one in told if one["peer"] == old and one["kind"] == "fault"]
    assert [one["what"] for one in ends] == ["killed"]
    assert {one["boot"] for one in told if one["peer"] == old} == {1, 2}


def test_any_peer_hands_in_any_other_s_record(trading: Ring) -> None:
    own = record(trading, 1)
    assert own["peer"] == 1
    assert own["entries"][0][3] == "started"
    through = record(trading, 0, "?peer=1")
    assert through["peer"] == 1
    assert through["entries"][: len(own["entries"])] == own["entries"]


def test_what_cannot_be_is_refused_by_name(trading: Ring) -> None:
    for query, field in (("after=soon", "after"), ("peer=77", "peer"), ("age=-1", "age")):
        answer = ask(trading, 0, f"GET /v1/record?{query}")
        assert answer.status == 400, query
        assert answer.body["field"] == field


def test_a_story_goes_on_live(start: StartRing) -> None:
    rig = start(3, "--no-agents")
    deposit(rig, 0, "stock")
    seen: list[Told] = []
    with (
        buying(rig),
        urllib.request.urlopen(f"http://127.0.0.1:{rig.ports[1]}/v1/story", timeout=10) as told,
    ):
        assert told.headers["Content-Type"] == "text/event-stream"
        end = time.monotonic() + 20.0
        named: list[str] = []
        while time.monotonic() < end and not any(one["kind"] == "order" for one in seen):
            line = told.readline().decode().strip()
            if line.startswith("event: "):
                named.append(line.removeprefix("event: "))
            if line.startswith("data: ") and named[-1] == "entries":
                seen += json.loads(line.removeprefix("data: "))
    assert named[:2] == ["header", "entries"]
    assert {"key", "moved", "beat", "order"} <= {one["kind"] for one in seen}
    assert {one["peer"] for one in seen} == {0, 1, 2}


def test_a_peer_without_a_record_trades_all_the_same(start: StartRing) -> None:
    """A folder where the file should be: as good as a volume without room."""
    rig = start(3, "--no-agents", "--restart-after", "0.2")
    place = rig.data / "peer-0" / "record"
    pid = int((rig.own(0) or {})["pid"])
    (place / "control").unlink()
    (place / "control").mkdir()
    (place / "control" / "in the way").touch()
    kill(pid, signal.SIGKILL)
    until(lambda: (rig.own(0) or {"pid": pid})["pid"] != pid, "peer 0 is back")
    assert deposit(rig, 0, "stock").status == 200
    assert ask(rig, 0, "GET /v1/record").status == 404
    assert order(rig, 0, "one").status == 200


def test_a_record_that_is_cut_off_under_a_living_peer_does_not_end_it(start: StartRing) -> None:
    rig = start(3, "--no-agents", "--restart-after", "never")
    pid = (rig.own(0) or {})["pid"]
    for name in ("control", "traffic"):
        os.truncate(rig.data / "peer-0" / "record" / name, 0)
    assert deposit(rig, 0, "stock").status == 200
    until(lambda: record(rig, 0)["entries"], "new entries")
    assert order(rig, 0, "one").status == 200
    assert (rig.own(0) or {})["pid"] == pid


def test_a_record_that_is_damaged_does_not_keep_a_peer_from_starting(start: StartRing) -> None:
    rig = start(3, "--no-agents", "--restart-after", "0.2")
    pid = int((rig.own(0) or {})["pid"])
    with (rig.data / "peer-0" / "record" / "control").open("r+b") as file:
        file.seek(16)
        file.write(b"\xff" * 16)
    kill(pid, signal.SIGKILL)
    until(lambda: (rig.own(0) or {"pid": pid})["pid"] != pid, "peer 0 is back")
    assert order(rig, 0, "none").status == 200
    until(lambda: record(rig, 0)["entries"], "new entries")


def test_up_writes_a_story_at_its_end(tmp_path: Path) -> None:
    story = tmp_path / "ring.story"
    words = ("up", "--peers", 3, "--duration", 3, "--record", story, "--port", take_ports(3))
    done = bazaar(*words, "--data", tmp_path / "ring")
    assert done.returncode == 0, done.stderr
    header, *lines = map(json.loads, story.read_text().splitlines())
    assert header["bazaar_story"] == 1
    assert epochs(lines) == reigns(tmp_path / "ring", 3)
    assert f"{len(lines):,} steps" in done.stderr


def test_a_record_that_cannot_be_written_is_said_before_anything_starts(tmp_path: Path) -> None:
    done = bazaar("up", "--record", tmp_path / "nowhere" / "ring.story")
    assert done.returncode == 2
    assert "there is no folder to write it into" in done.stderr


def test_a_record_can_be_switched_off(tmp_path: Path) -> None:
    ring = tmp_path / "ring"
    words = ("up", "--peers", 1, "--no-record", "--duration", 1, "--port", take_ports(1))
    done = bazaar(*words, "--data", ring)
    assert done.returncode == 0, done.stderr
    assert not (ring / "peer-0" / "record").exists()

    done = bazaar("up", "--no-record", "--record", tmp_path / "ring.story")
    assert done.returncode == 2
    assert "leave one out" in done.stderr


def test_a_seed_is_written_as_a_story(tmp_path: Path) -> None:
    story = tmp_path / "7.story"
    done: subprocess.CompletedProcess[str] = bazaar("simulate", "--seed", 7, "--record", story)
    assert done.returncode == 0, done.stderr
    header, *lines = map(json.loads, story.read_text().splitlines())
    assert (header["source"], header["name"]) == ("simulation", "seed 7")
    assert lines[-1]["fields"] == {"why": "no rule is broken"}
    assert done.stdout.startswith("seed 7: no rule is broken; ")


def test_a_running_ring_is_written_as_a_story(trading: Ring, tmp_path: Path) -> None:
    story = tmp_path / "ring.story"
    done = bazaar("record", story, "--url", f"http://127.0.0.1:{trading.ports[2]}")
    assert done.returncode == 0, done.stderr
    header, *lines = map(json.loads, story.read_text().splitlines())
    assert header["source"] == "ring"
    assert epochs(lines)[0] == 1
    assert set(epochs(lines)) <= set(reigns(trading.data, 3))
    assert {one["peer"] for one in lines} == {0, 1, 2}
    assert f"{len(lines):,} steps" in done.stdout


async def test_through_a_forwarded_port_one_peer_hands_in_all_records(trading: Ring) -> None:
    """As of a pod: it alone is reached, and the names of the others lead nowhere."""
    asked: list[str] = []

    async def forward(request: web.Request) -> web.Response:
        asked.append(request.path_qs)
        where = f"http://127.0.0.1:{trading.ports[1]}{request.path_qs}"
        async with aiohttp.ClientSession() as http, http.get(where) as answer:
            told = await answer.json(content_type=None)
        for row in told.get("peers", ()):
            row["url"] = "http://127.0.0.1:9"
        return web.json_response(told, status=answer.status)

    app = web.Application()
    app.router.add_get("/{path:.*}", forward)
    async with TestServer(app) as port:
        story = await collected(str(port.make_url("/")).rstrip("/"), 0)
    assert story.silent == 0
    assert {one["peer"] for one in story.entries} == {0, 1, 2}
    assert {path.rpartition("&peer=")[2] for path in asked[1:]} == {"0", "1", "2"}


async def test_peers_that_are_reached_are_asked_themselves(trading: Ring) -> None:
    asked: list[str] = []

    async def ring_alone(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response(ask(trading, 1, f"GET {request.path_qs}").body)

    app = web.Application()
    app.router.add_get("/{path:.*}", ring_alone)
    async with TestServer(app) as port:
        story = await collected(str(port.make_url("/")).rstrip("/"), 0)
    assert (story.silent, asked) == (0, ["/v1/ring"])


def test_where_no_ring_is_nothing_is_written(tmp_path: Path) -> None:
    done = bazaar("record", tmp_path / "ring.story", "--url", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "no answer from http://127.0.0.1:9" in done.stderr
    assert list(tmp_path.iterdir()) == []
