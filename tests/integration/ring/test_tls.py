"""Peers as pods run them, with certificates: the ring's work goes by TLS, and they are renewed."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from bench.pods import Folder, Pods

from .conftest import until
from .test_pods import pods

__all__ = ["pods"]


def certificate_at(folder: Folder, peer: int) -> str:
    """What peer shows to whoever comes; only another peer gets further."""
    context = ssl.create_default_context(cadata=folder.ca.certificate)
    context.check_hostname = False
    context.load_cert_chain(folder.path / "peer-1.crt", folder.path / "key-1")
    with (
        socket.create_connection((f"{folder.net}.{peer}", 8601), 5) as raw,
        context.wrap_socket(raw, server_hostname=f"{folder.net}.{peer}") as connection,
    ):
        return ssl.DER_cert_to_PEM_cert(connection.getpeercert(True) or b"")


def test_ring_trades_by_tls_and_its_certificates_are_renewed(pods: Pods, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "certificates", pods.net)
    pods.make(3, folder.settings)
    epoch, told = pods.get(0)["epoch"], pods.get(0)["tls"]
    assert (told["mode"], told["why"]) == ("Required", "")
    assert certificate_at(folder, 0) == (folder.path / "peer-0.crt").read_text()

    folder.certify(0)
    until(lambda: pods.get(0)["tls"]["certificate"] != told["certificate"], "it is renewed")
    assert certificate_at(folder, 0) == (folder.path / "peer-0.crt").read_text()
    assert pods.get(0)["epoch"] == epoch


def test_peer_waits_for_a_certificate_that_goes_with_its_key(pods: Pods, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "certificates", pods.net)
    good = (folder.path / "peer-0.crt").read_text()
    (folder.path / "peer-0.crt").write_text((folder.path / "peer-1.crt").read_text())
    pods.start(0, peers=1, **folder.settings(0))
    until(lambda: "do not go together" in str(pods.get(0).get("why")), "it says why it waits")
    assert pods.get(0)["state"] == "starting"
    assert pods.ask(0, "/healthz")[0] == 200
    (folder.path / "peer-0.crt").write_text(good)
    assert pods.format(0, pods.volume(0)) == 200
    until(lambda: pods.votes(0), "pod 0 votes")
