"""Peers as pods run them, with certificates: the ring's work goes by TLS, and they are renewed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
from pathlib import Path
from typing import Any

import pytest

from bazaar_operator import certificates
from bazaar_peer.command.drill import pod as drill_pod
from bench.pods import TOKEN, Folder, Pods, answer_of

from .conftest import until
from .test_pods import pods

__all__ = ["pods"]


def https(folder: Folder, peer: int, path: str, body: object = None) -> tuple[int, Any]:
    """Ask as a client does that knows whom the ring trusts; return status and answer."""
    context = ssl.create_default_context(cadata=folder.ca.certificate)
    return answer_of(f"https://{folder.net}.{peer}:8602{path}", body, context=context)


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
    told = pods.get(0)["tls"]
    assert (told["mode"], told["why"]) == ("Required", "")
    assert certificate_at(folder, 0) == (folder.path / "peer-0.crt").read_text()

    folder.certify(0)
    until(lambda: pods.get(0)["tls"]["certificate"] != told["certificate"], "it is renewed")
    renewed = (folder.path / "peer-0.crt").read_text()
    assert certificate_at(folder, 0) == renewed
    assert ssl.get_server_certificate((f"{folder.net}.0", 8602)).strip() == renewed.strip()
    assert [process.poll() for process in pods.processes] == [None] * 3, "nobody was restarted"


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


def test_clients_speak_tls_with_whom_they_can_trust(pods: Pods, tmp_path: Path) -> None:
    """From the first day: an empty volume is formatted by https, too."""
    folder = Folder(tmp_path / "certificates", pods.net)
    for pod in range(3):
        pods.start(pod, **folder.settings(pod))
    for pod in range(3):
        body = {"ring": "ring-a", "ordinal": pod, "volume": pods.volume(pod)}
        assert https(folder, pod, "/v1/format", body)[0] == 200
    for pod in range(3):
        until(lambda p=pod: pods.votes(p), f"pod {pod} votes")  # type: ignore[misc]

    for peer in https(folder, 0, "/v1/ring")[1]["peers"]:
        assert peer["https"] == f"https://{folder.net}.{peer['id']}:8602"
    status, told = https(folder, 1, "/v1/orders", {"item": "salt", "quantity": 1})
    assert (status, told["outcome"]) == (200, "unavailable")
    assert https(folder, 1, "/v1/members", {"size": 3, "generation": 1})[0] == 200

    folder.ca = certificates.authority("another ring", ["shop-peers"], time.time())
    with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
        https(folder, 0, "/v1/ring")


def test_lost_volume_asks_by_tls_to_be_let_in(pods: Pods, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "certificates", pods.net)
    pods.make(3, folder.settings)
    lost = next(pod for pod in range(3) if pods.get(pod)["role"] != "trader")
    pods.processes[lost].kill()
    pods.processes[lost].wait()
    shutil.rmtree(pods.folder / f"data-{lost}")

    pods.start(lost, **folder.settings(lost))

    until(lambda: pods.votes(lost), "it is back")
    assert pods.get(lost)["incarnation"] > 0


def verify(pods: Pods, scheme: str, port: int, trust: Path) -> subprocess.CompletedProcess[str]:
    token = pods.folder / "token"
    token.write_text(TOKEN)
    url = f"{scheme}://{pods.net}.0:{port}"
    return told(trust, "verify", "--url", url, "--token-file", token, "--json")


def asked(pods: Pods, trust: Path) -> subprocess.CompletedProcess[str]:
    return told(trust, "ring", "--url", f"https://{pods.net}.0:8602")


def told(trust: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Run the command line, which is to trust these."""
    return subprocess.run(
        [sys.executable, "-m", "bazaar_peer", *map(str, words)],
        env={**os.environ, "SSL_CERT_FILE": str(trust)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_running_ring_is_audited_by_tls(pods: Pods, tmp_path: Path) -> None:
    """Of every member, by TLS: the token is shown to each."""
    folder = Folder(tmp_path / "certificates", pods.net)
    pods.make(3, folder.settings, keep=True)
    assert https(folder, 0, "/v1/deposits", {"item": "salt", "quantity": 5, "price": 2})[0] == 200
    assert https(folder, 1, "/v1/orders", {"item": "salt", "quantity": 1})[1]["outcome"] == "filled"

    done = verify(pods, "https", 8602, folder.path / "ca.crt")
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["violations"] == []

    refused = verify(pods, "https", 8602, tmp_path / "nobody")
    assert refused.returncode != 0
    for said in (refused.stderr, asked(pods, tmp_path / "nobody").stderr):
        assert "SSL_CERT_FILE names the file of whom to trust" in " ".join(said.split())
    assert asked(pods, folder.path / "ca.crt").returncode == 0


def test_ring_is_backed_up_and_loaded_by_tls(pods: Pods, tmp_path: Path) -> None:
    folder, file, token = (
        Folder(tmp_path / "certificates", pods.net),
        tmp_path / "b",
        tmp_path / "t",
    )
    token.write_text(TOKEN)
    pods.make(3, folder.settings)
    url = ("--url", f"https://{pods.net}.1:8602")
    loaded = told(folder.path / "ca.crt", "load", *url, "--seconds", 1, "--strict")

    refused = told(tmp_path / "nobody", "backup", file, *url, "--token-file", token)
    done = told(folder.path / "ca.crt", "backup", file, *url, "--token-file", token, "--json")

    assert (loaded.returncode, json.loads(loaded.stdout)["failed"]) == (0, 0), loaded
    assert (refused.returncode, "SSL_CERT_FILE" in refused.stderr) == (1, True), refused
    assert json.loads(done.stdout)["ring"] == "ring-a"


@pytest.mark.parametrize(
    ("named", "said"),
    [(1, "404: there is nothing at this path"), (2, "certificate verify failed")],
    ids=["itself", "another"],
)
def test_drill_asks_a_peer_at_its_address_to_be_the_one_of_its_name(
    pods: Pods, tmp_path: Path, named: int, said: str
) -> None:
    """DNS takes a while to know the name of a pod that was made anew."""
    folder = Folder(tmp_path / "certificates", pods.net)
    pods.make(3, folder.settings)
    trust, token = tmp_path / "ca.crt", tmp_path / "token"
    trust.write_text(folder.ca.certificate)
    token.write_text(TOKEN)
    url, body = f"https://{pods.net}.1:8602/v1/pause", json.dumps({"seconds": 1})
    _, *words = drill_pod.post(url, f"{pods.net}.{named}", body)

    done = subprocess.run(
        [sys.executable, *(word.replace(drill_pod.TOKEN, str(token)) for word in words)],
        env={**os.environ, "SSL_CERT_FILE": str(trust)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]
