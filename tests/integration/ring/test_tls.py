"""Peers as pods run them, with certificates: the ring's work goes by TLS, and they are renewed."""

from __future__ import annotations

import socket
import ssl
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from bazaar_operator import certificates as made

from .conftest import until
from .test_pods import Pods, pods

__all__ = ["pods"]


class Folder:
    """What an operator gives the pods of a ring of three; a pod here is known by its address."""

    def __init__(self, path: Path, net: str, patch: pytest.MonkeyPatch) -> None:
        self.path, self.net, self.patch = path, net, patch
        self.ca = made.authority("shop", ["shop-peers"], time.time())
        self.keys = [made.new_key() for _ in range(3)]
        path.mkdir()
        (path / "ca.crt").write_text(self.ca.certificate)
        (path / "mode").write_text("Required")
        for peer in range(3):
            (path / f"key-{peer}").write_text(self.keys[peer])
            self.certify(peer)

    def certify(self, peer: int) -> None:
        with self.patch.context() as patch:
            patch.setattr(x509, "DNSName", lambda name: x509.IPAddress(ip_address(name)))
            names = [f"{self.net}.{peer}"]
            text = made.issue(self.ca, self.keys[peer], f"peer {peer}", names, time.time())
        (self.path / f"peer-{peer}.crt").write_text(text)

    def settings(self, peer: int) -> dict[str, Any]:
        return {"certificates": str(self.path), "key": str(self.path / f"key-{peer}")}

    def certificate_at(self, peer: int) -> str:
        """What peer shows to whoever comes; only another peer gets further."""
        context = ssl.create_default_context(cadata=self.ca.certificate)
        context.check_hostname = False
        context.load_cert_chain(self.path / "peer-1.crt", self.path / "key-1")
        with (
            socket.create_connection((f"{self.net}.{peer}", 8601), 5) as raw,
            context.wrap_socket(raw, server_hostname=f"{self.net}.{peer}") as connection,
        ):
            return ssl.DER_cert_to_PEM_cert(connection.getpeercert(True) or b"")


def test_ring_trades_by_tls_and_its_certificates_are_renewed(
    pods: Pods, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path / "certificates", pods.net, monkeypatch)
    for pod in range(3):
        pods.start(pod, **folder.settings(pod))
    for pod in range(3):
        assert pods.format(pod, pods.volume(pod)) == 200
    for pod in range(3):
        until(lambda p=pod: pods.votes(p), f"pod {pod} votes")  # type: ignore[misc]
    epoch, told = pods.get(0)["epoch"], pods.get(0)["tls"]
    assert (told["mode"], told["why"]) == ("Required", "")
    assert folder.certificate_at(0) == (folder.path / "peer-0.crt").read_text()

    folder.certify(0)
    until(lambda: pods.get(0)["tls"]["certificate"] != told["certificate"], "it is renewed")
    assert folder.certificate_at(0) == (folder.path / "peer-0.crt").read_text()
    assert pods.get(0)["epoch"] == epoch


def test_peer_waits_for_a_certificate_that_goes_with_its_key(
    pods: Pods, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path / "certificates", pods.net, monkeypatch)
    good = (folder.path / "peer-0.crt").read_text()
    (folder.path / "peer-0.crt").write_text((folder.path / "peer-1.crt").read_text())
    pods.start(0, peers=1, **folder.settings(0))
    until(lambda: "do not go together" in str(pods.get(0).get("why")), "it says why it waits")
    assert pods.get(0)["state"] == "starting"
    assert pods.ask(0, "/healthz")[0] == 200
    (folder.path / "peer-0.crt").write_text(good)
    assert pods.format(0, pods.volume(0)) == 200
    until(lambda: pods.votes(0), "pod 0 votes")
