"""The load of a drill: a pod of our image on the control plane's node, which also audits."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from bazaar_peer.command.drill.pod import url_of
from tests.e2e.cluster import IMAGE, Cluster
from tests.e2e.tools import attempt, until

RATE = float(os.environ.get("E2E_RATE", "40"))
"""Orders a second: one each 25 ms, so that a gap of 50 ms is seen."""
GAP_MS = 50
SECONDS_MAX = 6 * 3600
TRUST = "/load/ca.crt"
SCRIPT = """
cd /load
bazaar load --url "$URL" --rate "$RATE" --seconds "$SECONDS" --gap-ms "$GAP_MS" \
  --acknowledged acknowledged >result.json 2>progress &
echo $! >pid
wait
touch ended
exec sleep infinity
"""


@dataclass
class Load:
    """Orders to a Bazaar's client Service, from `start` to `stop`."""

    cluster: Cluster
    namespace: str
    bazaar: str
    pod: str = "load"
    rate: float = RATE

    def start(self) -> None:
        """Begin to order, and return when orders are taken."""
        self.cluster.apply(self._manifest())
        self._kubectl("wait", "--for=condition=Ready", f"pod/{self.pod}", "--timeout=60s")
        until(self._orders, "the load's orders are taken")

    def _orders(self) -> bool:
        done = attempt(*self._exec("wc", "-l", "/load/acknowledged"), env=self.cluster.env)
        return done.returncode == 0 and int(done.stdout.split()[0]) > self.rate / 2

    def stop(self) -> dict[str, Any]:
        """End the orders and return what came of them."""
        self._kubectl("exec", self.pod, "--", "sh", "-c", "kill -TERM $(cat /load/pid)")
        ended = ("exec", self.pod, "--", "sh", "-c", "test -e /load/ended && echo yes || true")
        until(lambda: self._kubectl(*ended).strip(), "the load ends", 60)
        found = json.loads(self._kubectl("exec", self.pod, "--", "cat", "/load/result.json"))
        assert isinstance(found, dict)
        return found

    def verify(self) -> tuple[int, str]:
        """Audit the running ring against what was acknowledged."""
        words = (
            *("env", f"SSL_CERT_FILE={TRUST}", "bazaar", "verify", "--url", self._place()),
            *("--token-file", "/etc/bazaar-admin/token", "--acknowledged", "/load/acknowledged"),
        )
        done = attempt(*self._exec(*words), env=self.cluster.env, seconds=900)
        return done.returncode, done.stdout + done.stderr

    def _place(self) -> str:
        """Return where the ring takes its token: by TLS alone, soon after it requires TLS."""
        found = self.cluster.bazaar(self.namespace, self.bazaar)
        if found["status"].get("tls", {}).get("mode") != "Required":
            return url_of(f"{self.bazaar}-client")
        secret = f"secret/{self.bazaar}-certificates"
        text = self._kubectl("get", secret, "-o", r"jsonpath={.data.ca\.crt}")
        write = ("exec", "-i", self.pod, "--", "sh", "-c", f"base64 -d >{TRUST}")
        self.cluster.kubectl("-n", self.namespace, *write, stdin=text)
        return url_of(f"{self.bazaar}-client", by_tls=True)

    def _exec(self, *words: object) -> tuple[object, ...]:
        return ("kubectl", "-n", self.namespace, "exec", self.pod, "--", *words)

    def _kubectl(self, *words: object) -> str:
        return self.cluster.kubectl("-n", self.namespace, *words)

    def _manifest(self) -> dict[str, Any]:
        env = {
            "URL": f"http://{self.bazaar}-client:8600",
            "RATE": f"{self.rate:g}",
            "SECONDS": f"{SECONDS_MAX}",
            "GAP_MS": f"{GAP_MS}",
        }
        container = {
            "name": "load",
            "image": IMAGE,
            "command": ["sh", "-c", SCRIPT],
            "env": [{"name": name, "value": value} for name, value in env.items()],
            "volumeMounts": [
                {"name": "load", "mountPath": "/load"},
                {"name": "tmp", "mountPath": "/tmp"},
                {"name": "admin", "mountPath": "/etc/bazaar-admin", "readOnly": True},
            ],
            # Without a request it gets next to nothing on a busy node, and is late itself.
            "resources": {"requests": {"cpu": "200m", "memory": "64Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        }
        spec = {
            "nodeName": self.cluster.control_plane.name,
            "tolerations": [{"operator": "Exists"}],
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "fsGroup": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [
                {"name": "load", "emptyDir": {}},
                {"name": "tmp", "emptyDir": {}},
                {"name": "admin", "secret": {"secretName": f"{self.bazaar}-admin"}},
            ],
        }
        metadata = {"name": self.pod, "namespace": self.namespace}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
