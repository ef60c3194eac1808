"""The load's pod: when it ends by itself, and what a program in it came to."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, cast

import pytest

from bazaar_peer.command.drill import loadpod, pod
from bazaar_peer.command.drill.kube import Kube, KubeError, Ran
from bazaar_peer.command.drill.loadpod import LoadPod, audit_of, takes_token_by_tls
from bazaar_peer.command.drill.plan import DrillError, Kind, Options
from tests.unit.command.drill.ring import drilled, order

CLEAN = b'{"counted": [], "violations": [], "omitted": 0, "lost": 0, "twice": 0}'
TOLD = b'{"violations": ["epoch 3 has two traders"], "omitted": 3, "lost": 5, "twice": 2}'


def test_audit_that_was_run_is_believed() -> None:
    assert (audit_of(Ran(0, CLEAN, b"")).failed, audit_of(Ran(1, TOLD, b"")).failed) == (None, None)
    found = audit_of(Ran(1, TOLD, b""))
    assert found.violations == ["epoch 3 has two traders"]
    assert (found.omitted, found.lost, found.twice) == (3, 5, 2)


@pytest.mark.parametrize(
    ("done", "said"),
    [
        (Ran(137, b"", b""), "ended with 137: without a word"),
        (Ran(2, b"", b"bazaar: no answer"), "ended with 2: bazaar: no answer"),
        (Ran(137, CLEAN, b""), "ended with 137"),
        (Ran(0, b"", b""), "told no audit"),
        (Ran(1, b"[]", b""), "told no audit"),
        (Ran(1, b'{"violations": ["a"]}', b""), "told no audit"),  # of an older release
        (Ran(1, CLEAN, b""), "ended with 1, and told 0 violations"),
        (Ran(0, TOLD, b""), "ended with 0, and told 1 violations"),
    ],
)
def test_planted_audit_that_died_is_never_clean(done: Ran, said: str) -> None:
    found = drilled([order(1.0)], audit=audit_of(done))

    assert said in found["unaudited"]
    assert (found["lost"], found["twice"], found["verify"]) == (None, None, "not audited")


PEER: dict[str, Any] = {"spec": {"containers": [{"image": "bazaar:1"}]}}
LONG_AGO = (1.0, 1.0)
OPTIONS = Options(kind=Kind.CRASH, name="shop", namespace="ns")


class Here:
    """Runs what is run in a pod in a folder of this machine, where a load lasts for ever."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def words(self, words: tuple[str, ...]) -> list[str]:
        load = "sh -c 'exec sleep 1000'"
        pairs = (("bazaar verify", "true"), ("bazaar load", load), ("/load", str(self.folder)))
        for there, here in pairs:
            words = tuple(word.replace(there, here) for word in words)
        return list(words)

    async def start(self) -> asyncio.subprocess.Process:
        (container,) = pod.manifest("drill", OPTIONS, PEER, 60.0, by_tls=False)["spec"][
            "containers"
        ]
        script = (word.replace("exec sleep infinity", "exit") for word in container["command"])
        return await asyncio.create_subprocess_exec(*self.words(tuple(script)))

    async def run(self, _space: str, _pod: str, *words: str, seconds: float = 0.0) -> Ran:
        done = await asyncio.create_subprocess_exec(
            *self.words(words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, errors = await done.communicate()
        return Ran(done.returncode or 0, out, errors)


def test_ring_that_takes_its_token_by_tls_alone_is_audited_by_it() -> None:
    """Orders need none."""
    scripts = []
    for by_tls in (False, True):
        spec = pod.manifest("drill", OPTIONS, PEER, 60.0, by_tls=by_tls)["spec"]
        scripts.append(spec["containers"][0]["command"][-1])
        (trust,) = [each["secret"] for each in spec["volumes"] if each["name"] == "trust"]
        assert trust == {
            "secretName": "shop-certificates",
            "optional": True,
            "items": [{"key": "ca.crt", "path": "ca.crt"}],
        }

    assert "verify --url http://shop-client:8600 " in scripts[0]
    assert "verify --url https://shop-client:8602 " in scripts[1]
    assert all("load --url http://shop-client:8600 " in script for script in scripts)


class Resource:
    """The API, which answers with a Bazaar or refuses."""

    def __init__(self, answer: dict[str, Any] | int) -> None:
        self.answer = answer

    async def bazaar(self, namespace: str, name: str) -> dict[str, Any]:
        assert (namespace, name) == ("ns", "shop")
        if isinstance(self.answer, int):
            raise KubeError(self.answer, "no")
        return self.answer


@pytest.mark.parametrize(
    ("answer", "by_tls"),
    [
        ({"status": {"tls": {"mode": "Required", "token": "Required"}}}, True),
        ({"status": {"tls": {"mode": "Required"}}}, False),
        ({"status": {"tls": {}}}, False),
        ({}, False),
        (403, True),
        (404, False),
    ],
)
async def test_how_a_ring_takes_its_token_stands_in_its_bazaar(
    answer: dict[str, Any] | int, *, by_tls: bool
) -> None:
    """Who may not see it sees that the pod has certificates."""
    kube, env = cast("Kube", Resource(answer)), [{"name": "BAZAAR_CERTIFICATES", "value": "/c"}]
    certified = {"spec": {"containers": [{"image": "bazaar:1", "env": env}]}}

    assert await takes_token_by_tls(kube, OPTIONS, certified) is by_tls
    assert not (answer == 403 and await takes_token_by_tls(kube, OPTIONS, PEER))


async def test_how_a_ring_takes_its_token_is_not_guessed() -> None:
    with pytest.raises(KubeError):
        await takes_token_by_tls(cast("Kube", Resource(500)), OPTIONS, PEER)


async def test_load_ends_by_itself_when_nobody_asks_for_it_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pod, "LOOK_S", 0.01)
    monkeypatch.setattr(pod, "ALONE_S", 0)
    script = await Here(tmp_path).start()

    assert await asyncio.wait_for(script.wait(), 60) == 0
    assert (tmp_path / "ended").exists()


async def test_who_asks_for_the_progress_keeps_the_load_going(tmp_path: Path) -> None:
    asked, progress = tmp_path / "asked", tmp_path / "progress"
    asked.touch()
    os.utime(asked, LONG_AGO)
    progress.write_text("3 sent, 2 acknowledged\n")

    told = await LoadPod(cast("Kube", Here(tmp_path)), OPTIONS).so_far()

    assert told == "3 sent, 2 acknowledged"
    assert asked.stat().st_mtime > LONG_AGO[1]


async def test_lists_of_a_drill_that_failed_are_copied_out_of_its_pod(tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    load = LoadPod(cast("Kube", Here(there)), OPTIONS)
    with pytest.raises(DrillError, match="No such file"):
        await load.keep(here)
    for name in ("acknowledged", "orders"):
        (there / name).write_text(f"of {name}\n")

    await load.keep(here)

    assert (here / "acknowledged").read_text() == "of acknowledged\n"
    assert (here / "orders").read_text() == "of orders\n"


class Refusing:
    """An API server that refuses so often, and makes a pod before."""

    def __init__(self, times: int) -> None:
        self.times = times

    async def bazaar(self, _namespace: str, _name: str) -> dict[str, Any]:
        return {}

    async def call(
        self, method: str, _path: str, *_given: object, patient: bool = True
    ) -> dict[str, Any]:
        assert patient == (method == "post"), "a deletion has tries of its own"
        if method == "post":
            raise DrillError("it does not start")
        self.times -= 1
        if self.times >= 0:
            raise KubeError(500, "not now")
        return {}


@pytest.mark.parametrize(("times", "stays"), [(0, False), (4, False), (5, True)])
async def test_pod_is_deleted_again_until_it_is_and_told_if_it_stays(
    times: int, stays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loadpod, "LOOK_S", 0.0)
    load = LoadPod(cast("Kube", Refusing(times)), OPTIONS)
    with pytest.raises(DrillError, match="does not start"):
        await load.begin(PEER, 1.0)

    if stays:
        with pytest.raises(DrillError, match=f"kubectl delete pod --namespace ns {load.name}"):
            await load.close()
    else:
        await load.close()
