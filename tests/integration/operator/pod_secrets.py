"""What pods see of Secrets: all of it when they start, later what the kubelet brings, and when."""

from __future__ import annotations

import base64
import functools
import itertools
import ssl

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bazaar_operator import labels
from bazaar_operator.trust import TRUST_FILE, file_of
from bazaar_operator.views import REQUIRED
from tests.integration.operator.ring import Process, Tls
from tests.integration.operator.store import Key, Object, Store

REFRESH_TICKS = 8
"""A kubelet looks at a pod's Secrets so often; at once when the pod changes."""


class PodSecrets:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._ticks = itertools.count(1)

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
        return Tls(files["mode"], files[TRUST_FILE], mine, keys[name], _nudge(pod))

    def refresh(self, pod: Object, tls: Tls) -> None:
        """Take what lies there now, if it goes with the key: all of it, or nothing."""
        if tls.nudged == _nudge(pod) and next(self._ticks) % REFRESH_TICKS:
            return
        files = self._texts(pod["metadata"]["labels"][labels.BAZAAR] + "-certificates")
        mine = files[file_of(int(pod["metadata"]["name"].rpartition("-")[2]))]
        tls.nudged = _nudge(pod)
        if is_pair(mine, tls.key) and is_readable(files[TRUST_FILE]):
            tls.mode, tls.trusts, tls.certificate = files["mode"], files[TRUST_FILE], mine

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


@functools.cache
def is_pair(certificate: str, key: str) -> bool:
    found = x509.load_pem_x509_certificate(certificate.encode())
    return found.public_key() == load_pem_private_key(key.encode(), None).public_key()


@functools.cache
def is_readable(trusts: str) -> bool:
    """As a peer reads it."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=trusts)
    except (ssl.SSLError, TypeError):
        return False
    return True


@functools.cache
def is_trusted(certificate: str, trusts: str) -> bool:
    found = x509.load_pem_x509_certificate(certificate.encode())
    for authority in x509.load_pem_x509_certificates(trusts.encode()):
        try:
            found.verify_directly_issued_by(authority)
        except (ValueError, InvalidSignature):
            continue
        return _may_name(authority, found)
    return False


def _may_name(authority: x509.Certificate, found: x509.Certificate) -> bool:
    """Whether whoever verifies the certificate finds only names that its authority may give."""
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    within = [subtree.value for subtree in constraints.permitted_subtrees or []]
    named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return all(
        any(name == domain or name.endswith(f".{domain}") for domain in within)
        for name in named.get_values_for_type(x509.DNSName)
    )
