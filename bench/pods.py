"""Peers as pods run them: each at an address of its own, on volumes that begin empty (R14, K1).

127.0.P.i stands for pod i: all of a ring have the same two ports, as in a cluster.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from unittest import mock

from cryptography import x509

from bazaar_operator import certificates
from bazaar_peer.runtime import processes
from bazaar_peer.runtime.certificates import Certificates
from bazaar_peer.runtime.settings import ProcessSettings
from bench.rig import until

TOKEN = "the-token-of-this-ring"
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])


class Pods:
    """The pods of one ring, and what they say."""

    nets = 0

    def __init__(self, folder: Path) -> None:
        Pods.nets += 1
        self.net = f"127.{20 + WORKER}.{Pods.nets}"
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(
        self,
        pod: int,
        *,
        peers: int = 3,
        ring: str = "ring-a",
        at: int = -1,
        keep: bool = False,
        **more: Any,
    ) -> subprocess.Popen[bytes]:
        """Start a pod; `at`: on another host than where the others look for it."""
        volume = self.folder / f"data-{pod}"
        volume.mkdir(exist_ok=True)
        host = f"{self.net}.{pod if at < 0 else at}"
        settings = ProcessSettings(
            me=pod,
            peers=peers,
            ring=ring,
            volume=str(volume / "peer"),
            archive=str(volume / f"archive-{ring}") if keep else "",
            log=str(self.folder / f"{pod}.log"),
            host=host,
            hosts=self.net + ".{}",
            address=f"{host}:8601",
            peer_port_offset=1,
            token=TOKEN,
            reserve_bytes=1 << 20,
            **more,
        )
        self.processes.append(subprocess.Popen(processes.program_of(settings)))
        return self.processes[-1]

    def get(self, pod: int, path: str = "/v1/peer") -> dict[str, Any]:
        return self.ask(pod, path)[1]

    def ask(
        self,
        pod: int,
        path: str,
        body: object = None,
        token: str = TOKEN,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Return status and JSON of an answer; 0 if there is none."""
        try:
            return answer_of(f"{self.url(pod)}{path}", body, token, headers)
        except OSError:
            return 0, {}

    def url(self, pod: int) -> str:
        return f"http://{self.net}.{pod}:8600"

    def volume(self, pod: int) -> str:
        """Wait until the pod's volume has a name; return it."""
        return str(until(lambda: self.get(pod).get("volume"), f"pod {pod} names its volume"))

    def format(
        self, pod: int, volume: str, ring: str = "ring-a", token: str = TOKEN, restores: str = ""
    ) -> int:
        body = {"ring": ring, "ordinal": pod, "volume": volume, "restores": restores}
        return self.ask(pod, "/v1/format", body, token)[0]

    def votes(self, pod: int) -> bool:
        seen = self.get(pod)
        return bool(seen.get("voter") and seen.get("trader", -1) >= 0 and seen.get("ready"))

    def make(
        self,
        peers: int,
        own: Callable[[int], dict[str, Any]] = lambda _pod: {},
        **more: Any,
    ) -> None:
        """Start a ring as an operator does; `own`: settings that a pod has for itself."""
        for pod in range(peers):
            self.start(pod, peers=peers, **more, **own(pod))
        for pod in range(peers):
            assert self.format(pod, self.volume(pod)) == 200
        for pod in range(peers):
            until(lambda p=pod: self.votes(p), f"pod {pod} votes")  # type: ignore[misc]

    def end(self) -> None:
        """End all processes at once."""
        for process in self.processes:
            process.kill()
            process.wait()


def answer_of(
    url: str,
    body: object = None,
    token: str = TOKEN,
    headers: dict[str, str] | None = None,
    context: ssl.SSLContext | None = None,
) -> tuple[int, dict[str, Any]]:
    """Return status and JSON of an answer; raises OSError if there is none."""
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {token}",
        **(headers or {}),
    }
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


class Folder:
    """What an operator gives the pods of a ring that speaks TLS; a pod here is its address."""

    def __init__(self, path: Path, net: str, peers: int = 3) -> None:
        self.path, self.net = path, net
        self.ca = certificates.authority("shop", ["shop-peers"], time.time())
        self.keys = [certificates.new_key() for _ in range(peers)]
        path.mkdir()
        (path / "ca.crt").write_text(self.ca.certificate)
        for mode in ("mode", "token-mode"):
            (path / mode).write_text("Required")
        for peer in range(peers):
            (path / f"key-{peer}").write_text(self.keys[peer])
            self.certify(peer)

    def certify(self, peer: int) -> None:
        names = [f"{self.net}.{peer}"]
        with mock.patch.object(x509, "DNSName", lambda name: x509.IPAddress(ip_address(name))):
            text = certificates.issue(self.ca, self.keys[peer], f"peer {peer}", names, time.time())
        (self.path / f"peer-{peer}.crt").write_text(text)

    def certificates(self, peer: int) -> Certificates:
        """Return what a peer reads there."""
        found = Certificates(
            self.path, self.path / f"key-{peer}", peer, lambda other: f"{self.net}.{other}"
        )
        assert found.look(), found.why
        return found

    def settings(self, peer: int) -> dict[str, Any]:
        return {"certificates": str(self.path), "key": str(self.path / f"key-{peer}")}
