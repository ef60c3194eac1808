"""What a person sees of a ring in a cluster, from a laptop: the live page, and a drill's report."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.conftest import MakeRing
from tests.e2e.ring import Ring
from tests.e2e.tools import OWN_PATH, attempt, run, until

BAZAAR = (sys.executable, "-m", "bazaar_peer")


@contextlib.contextmanager
def page(cluster: Cluster, namespace: str) -> Iterator[str]:
    """Run `bazaar page`, and yield its address."""
    words = ("page", "--name", "shop", "--namespace", namespace, "--no-browser")
    with subprocess.Popen(
        [*BAZAAR, *words],
        env={**os.environ, **cluster.env, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert " at http://127.0.0.1:" in line, line
            yield line.split(" at ")[1].split()[0].rstrip("/")
        finally:
            process.terminate()


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return bytes(answer.read())


def entries(url: str, wanted: str) -> list[dict[str, Any]]:
    """Listen to the story until this kind or note comes."""
    found: list[dict[str, Any]] = []
    with urllib.request.urlopen(f"{url}/v1/story", timeout=20) as story:
        kind = ""
        for line in story:
            text = line.decode().strip()
            if text.startswith("event: "):
                kind = text.removeprefix("event: ")
            elif text.startswith("data: ") and kind == "entries":
                found += json.loads(text.removeprefix("data: "))
            if any(wanted in (one["kind"], one.get("note")) for one in found):
                break
    return found


def test_page_and_plugin_outlive_the_pods_that_they_talk_to(
    cluster: Cluster, make_ring: MakeRing
) -> None:
    ring = make_ring(peers=3)
    where = {"BAZAAR_URL": f"kube:{ring.namespace}/shop", "PATH": OWN_PATH}
    plugin = partial(run, "kubectl", "bazaar", env=cluster.env | where)
    assert "3 of 3 vote" in plugin("top", "--duration", 3)
    with page(cluster, ring.namespace) as url:
        assert b"<title>Bazaar</title>" in get(url)
        assert {one["peer"] for one in entries(url, "reign_begun")} <= {0, 1, 2}
        told = json.loads(get(f"{url}/v1/ring"))
        assert {row["url"] for row in told["peers"]} == {url}

        for pod in ("shop-0", "shop-1", "shop-2"):
            ring.kubectl("delete", "pod", pod, "--now")
            # A pod that goes ends its stream; a page comes again, and hears another's.
            until(partial(entries, url, "key"), f"a story without {pod}")
            assert json.loads(plugin("sell", "silk", 1, "--price", 1, "--json"))["lot"]
            ring.wait_settled()
    told = json.loads(plugin("ring", "--json"))["peers"]
    assert [peer["suspected"] for peer in told] == [False] * 3


def drill_twice(cluster: Cluster, ring: Ring, report: Path, *kind: object) -> dict[str, Any]:
    """Drill a ring from here; return what the report's folder says of two faults."""
    words = ("--times", 2, "--rate", 40, "--report", report, "--yes")
    where = ("--name", "shop", "--namespace", ring.namespace)

    done = attempt(*BAZAAR, "drill", *kind, *words, *where, env=cluster.env, seconds=400)

    assert done.returncode == 0, done.stdout + done.stderr
    drill: dict[str, Any] = json.loads((report / "drill.json").read_text())
    assert (len(drill["faults"]), drill["lost"], drill["twice"]) == (2, 0, 0)
    return drill


@pytest.mark.parametrize(("kind", "noted"), [("pause", "paused"), ("cut", "cut")])
def test_ring_that_lets_itself_be_drilled_notices_and_goes_on(
    cluster: Cluster, make_ring: MakeRing, tmp_path: Path, kind: str, noted: str
) -> None:
    """The peer does it to itself, for nothing in its pod could; its record has it.

    It is asked with the ring's token: in a ring that takes that by TLS alone, by TLS.
    """
    ring = make_ring(peers=3, drills=True, tls={"enabled": kind == "cut"})
    report = tmp_path / "report"

    drill = drill_twice(cluster, ring, report, kind, "--seconds", 2)

    for fault in drill["faults"]:
        assert fault["trader_after"] != fault["victim"]
        assert 100 < fault["interregnum_ms"] < 2000, "noticed by silence, and soon (G7)"
    story = [json.loads(line) for line in (report / "drill.story").read_text().splitlines()[1:]]
    done_to = [one["peer"] for one in story if one["kind"] == "fault" and one["what"] == noted]
    assert done_to == [fault["victim"] for fault in drill["faults"]]
    assert any(one["kind"] == "market" for one in story)


def test_drill_from_a_laptop_tells_what_a_crash_costs(
    cluster: Cluster, make_ring: MakeRing, tmp_path: Path
) -> None:
    ring = make_ring(peers=3)
    report = tmp_path / "report"

    drill = drill_twice(cluster, ring, report, "crash")

    assert drill["timeline"]["marks"]
    assert (report / "report.html").stat().st_size > 10_000
    assert len((report / "drill.story").read_text().splitlines()) > 100
    own = [f"pod/shop-{ordinal}" for ordinal in range(3)]
    pods = partial(ring.kubectl, "get", "pods", "-o", "name")
    until(lambda: sorted(pods().split()) == own or None, "the drill's own pod is gone")
