"""What pods see of Secrets: all of it when they start, later what the kubelet brings, and when."""

from __future__ import annotations

import base64
import itertools
from collections import Counter

from bazaar_operator import labels
from bazaar_operator.trust import TRUST_FILE, file_of
from bazaar_operator.trust_modes import TOKEN_FILE
from bazaar_operator.views import REQUIRED
from tests.integration.operator.ring import Process, Tls
from tests.integration.operator.store import Key, Object, Store
from tests.integration.operator.trusting import is_pair, is_readable, is_trusted

REFRESH_TICKS = 8
"""A kubelet looks at a pod's Secrets so often; at once when the pod changes."""


class PodSecrets:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._ticks = Counter[str]()
        self.frozen = False
        """Kubelets look at nothing for now."""

    def given_to(self, pod: Object) -> Tls | None:
        """What a container finds that starts now; None: it has no such volumes."""
        named = {
            v["name"]: v["secret"]["secretName"] for v in pod["spec"]["volumes"] if "secret" in v
        }
        if "keys" not in named:
            return None
        keys, files = self._texts(named["keys"]), self._texts(named["certificates"])
        name = pod["metadata"]["name"]
        mine = files[file_of(int(name.rpartition("-")[2]))]
        if not is_pair(mine, keys[name]):
            return Tls("", "", "", keys[name], _nudge(pod))  # it waits, unready
        token = files.get(TOKEN_FILE, "")
        return Tls(files["mode"], files[TRUST_FILE], mine, keys[name], _nudge(pod), "", token)

    def refresh(self, pod: Object, tls: Tls) -> None:
        """Take what lies there now, if it goes with the key: all of it, or nothing."""
        name = pod["metadata"]["name"]
        self._ticks[name] += 1
        # Each node has its own moment.
        late = (self._ticks[name] + 3 * int(name.rpartition("-")[2])) % REFRESH_TICKS
        if self.frozen or (tls.nudged == _nudge(pod) and late):
            return
        files = self._texts(pod["metadata"]["labels"][labels.BAZAAR] + "-certificates")
        mine = files[file_of(int(pod["metadata"]["name"].rpartition("-")[2]))]
        tls.nudged = _nudge(pod)
        if is_pair(mine, tls.key) and is_readable(files[TRUST_FILE]):
            tls.mode, tls.trusts, tls.certificate = files["mode"], files[TRUST_FILE], mine
            tls.token_mode = files.get(TOKEN_FILE, "")

    def deaf(self, running: list[Process]) -> list[str]:
        """Return which peers cannot speak with each other."""
        found = []
        for one, other in itertools.permutations(running, 2):
            if "" in {peer.tls.mode for peer in (one, other) if peer.tls}:
                continue  # it waits for a certificate
            if one.tls is None or other.tls is None:
                if one.tls and one.tls.mode == REQUIRED:
                    found.append(f"{one.ordinal} requires TLS, and {other.ordinal} speaks none")
            elif not is_trusted(other.tls.certificate, one.tls.trusts):
                found.append(f"{one.ordinal} does not trust the certificate of {other.ordinal}")
        return found

    def _texts(self, name: str) -> dict[str, str]:
        data = self._store.objects[Key("secrets", "ns", name)]["data"]
        return {key: base64.b64decode(text).decode(errors="replace") for key, text in data.items()}


def _nudge(pod: Object) -> str:
    return str(pod["metadata"].get("annotations", {}).get(labels.NUDGE, ""))
