"""The pod that orders and audits in a drill, of the ring's own image, beside the ring.

What it measures is what a client in the cluster feels: it goes through the Service, and through no
forwarded port. It ends by itself, whatever becomes of the driller: the load when nobody has asked
for its progress for `ALONE_S`, the pod later.
"""

from __future__ import annotations

import shlex
from typing import Any

from bazaar_peer.command.drill import loading
from bazaar_peer.command.drill.plan import Options
from bazaar_peer.runtime.pod import HTTPS_PORT, PORT, authority

TOKEN = "/etc/bazaar-admin/token"  # noqa: S105 - a file
EXTRA_S = 1800
"""For the audits before and behind the load."""
ALONE_S, LOOK_S = 60, 5
ASKED = "/load/asked"
"""Touched by whoever asks."""
POST = """
import http.client, json, ssl, sys, urllib.parse
url, name, body = sys.argv[1:]
token = open("{token}").read().strip()
headers = {{"Authorization": "Bearer " + token, "Content-Type": "application/json"}}
where = urllib.parse.urlsplit(url)
link = http.client.HTTPConnection(where.hostname, where.port, timeout=5)
link.connect()
if where.scheme == "https":
    link.sock = ssl.create_default_context().wrap_socket(link.sock, server_hostname=name)
link.request("POST", where.path, body.encode(), headers)
answer = link.getresponse()
said = answer.read().decode(errors="replace")
if answer.status >= 300:
    try:
        said = json.loads(said)["detail"]
    except (ValueError, KeyError, TypeError):
        pass
    sys.exit(f"{{answer.status}}: {{said}}")
"""
"""The image has no curl; a refusal ends it with 1 and, as last line, the peer's own words."""
AUDIT = "bazaar verify --url {url} --token-file {token} --json"
SCRIPT = """
cd /load
{audit} >before 2>&1
echo $? >audited
[ "$(cat audited)" = 0 ] || exec sleep infinity
touch {asked}
bazaar load {words} --acknowledged acknowledged --orders orders >result 2>progress &
load=$!
echo $load >pid
while sleep {look} && [ ! -e ended ]; do
  [ $(($(date +%s) - $(date -r {asked} +%s))) -lt {alone} ] || kill -TERM $load
done &
wait $load
touch ended
exec sleep infinity
"""


def has_certificates(peer: dict[str, Any]) -> bool:
    """Tell whether a pod of a ring was given any."""
    given = peer["spec"]["containers"][0].get("env") or []
    return any(each["name"] == "BAZAAR_CERTIFICATES" for each in given)


def url_of(host: str, *, by_tls: bool = False) -> str:
    """Return where a host serves clients; `host`: a name, or an address, of IPv6 too."""
    scheme, port = ("https", HTTPS_PORT) if by_tls else ("http", PORT)
    return f"{scheme}://{authority(host, port)}"


def audit(bazaar: str, *, by_tls: bool) -> str:
    """Return the command that audits the ring from the pod."""
    return AUDIT.format(url=url_of(f"{bazaar}-client", by_tls=by_tls), token=TOKEN)


def post(url: str, name: str, body: str) -> tuple[str, ...]:
    """Return the program that asks a peer with the ring's token.

    `url` has the pod's address, for its name takes DNS a while to know; by TLS the peer proves that
    it is the one of this name.
    """
    return ("python", "-c", POST.format(token=TOKEN), url, name, body)


def manifest(
    name: str, options: Options, peer: dict[str, Any], seconds: float, *, by_tls: bool
) -> dict[str, Any]:
    """Return the pod; `peer`: a pod of the ring, whose image it takes."""
    spec = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": int(seconds) + EXTRA_S,
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "imagePullSecrets": peer["spec"].get("imagePullSecrets") or [],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(options, peer["spec"]["containers"][0], seconds, by_tls=by_tls)],
        "volumes": [
            {"name": "load", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {}},
            {"name": "admin", "secret": {"secretName": f"{options.name}-admin"}},
            {"name": "trust", "secret": trusted(options.name)},
        ],
    }
    labels = {"app.kubernetes.io/name": "bazaar-drill", "app.kubernetes.io/instance": options.name}
    metadata = {"name": name, "namespace": options.namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def trusted(bazaar: str) -> dict[str, Any]:
    """Of the ring's certificates, if it has any, those alone whom it trusts."""
    items = [{"key": "ca.crt", "path": "ca.crt"}]
    return {"secretName": f"{bazaar}-certificates", "optional": True, "items": items}


def _container(
    options: Options, peer: dict[str, Any], seconds: float, *, by_tls: bool
) -> dict[str, Any]:
    client = f"{options.name}-client"
    words = loading.words([url_of(client)], options.rate, options.buyers, seconds)
    check = audit(options.name, by_tls=by_tls)
    script = SCRIPT.format(
        audit=check, words=shlex.join(words), asked=ASKED, look=LOOK_S, alone=ALONE_S
    )
    return {
        "name": "load",
        "image": peer["image"],
        "imagePullPolicy": peer.get("imagePullPolicy", "IfNotPresent"),
        "command": ["sh", "-c", script],
        "env": [{"name": "SSL_CERT_FILE", "value": "/etc/bazaar-trust/ca.crt"}],
        "volumeMounts": [
            {"name": "load", "mountPath": "/load"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - of a read-only root
            {"name": "admin", "mountPath": "/etc/bazaar-admin", "readOnly": True},
            {"name": "trust", "mountPath": "/etc/bazaar-trust", "readOnly": True},
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
