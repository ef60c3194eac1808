"""The Secrets of a ring's certificates: read with each observation, written when they are due.

The authority is written first, by compare-and-swap: nothing is ever signed by a key that could be
lost with this process. What follows from it is applied; after a crash the next pass does the rest.
"""

from __future__ import annotations

import asyncio
import base64

import msgspec

from bazaar_operator import labels, trust
from bazaar_operator.api import Api, Object
from bazaar_operator.certificates import Pair, is_key, is_pair, normal
from bazaar_operator.manifests import opaque_secret
from bazaar_operator.observation import Observation
from bazaar_operator.spec import Bazaar
from bazaar_operator.trust import Authority, Trust

SIGNER, NEXT, OLD, ASKED = "ca", "next", "old.crt", "asked"


async def trust_of(api: Api, bazaar: Bazaar) -> Trust | None:
    """Read them, if the ring has certificates or is to have them.

    Raises: ApiError.
    """
    if not (bazaar.spec.tls.enabled or bazaar.status.tls.mode):
        return None
    name, space = bazaar.name, bazaar.namespace
    ca, keys, files = await asyncio.gather(
        api.get("Secret", space, labels.authority_secret(name)),
        api.get("Secret", space, labels.keys_secret(name)),
        api.get("Secret", space, labels.certificates_secret(name)),
    )
    found, known = _texts(keys), _texts(files)
    authorities = _certificates(_texts(ca)) if ca is not None and _is_own(ca, bazaar) else ""
    for secret in (ca, keys, files):
        if secret is not None and not _is_own(secret, bazaar):
            # Whoever it belongs to, pods mount it: that is whom they trust, or will.
            trusts = {trust.TRUST_FILE: known.get(trust.TRUST_FILE, "")}
            return Trust(foreign=secret["metadata"]["name"], files=trusts, known=authorities)
    return Trust(
        authority=_authority(_texts(ca), normal(known.get(trust.TRUST_FILE, ""))),
        known=authorities,
        version=ca["metadata"]["resourceVersion"] if ca else "",
        keys={pod: found[pod] for pod in trust.pods(bazaar) if is_key(found.get(pod, ""))},
        files={name: known[name] for name in trust.FILES if name in known},
    )


def _is_own(secret: Object, bazaar: Bazaar) -> bool:
    """One of a former Bazaar of that name goes by itself; anybody else's must not be touched."""
    owners = secret["metadata"].get("ownerReferences") or []
    return any(owner.get("uid") == bazaar.uid for owner in owners)


async def certify(api: Api, seen: Observation) -> None:
    """Write what is due; raises: ApiError."""
    bazaar, found = seen.bazaar, seen.trust
    assert found is not None, "asked of rings with certificates only"
    authority = trust.stepped(seen)
    if authority != found.authority:
        await _swap(api, bazaar, found.version, authority)
    keys = trust.keys_for(bazaar, found.keys)
    if keys != found.keys:
        name = labels.keys_secret(bazaar.name)
        await api.apply(opaque_secret(bazaar, name, keys))
    now = msgspec.structs.replace(found, authority=authority, keys=keys)
    files = trust.files_for(bazaar, now, seen.now)
    if files != found.files:
        name = labels.certificates_secret(bazaar.name)
        await api.apply(opaque_secret(bazaar, name, files))


async def _swap(api: Api, bazaar: Bazaar, version: str, authority: Authority) -> None:
    """Make it, or change it if nobody else has since it was read."""
    name = labels.authority_secret(bazaar.name)
    made = opaque_secret(bazaar, name, _told(authority))
    if not version:
        await api.create(made)
        return
    steps: list[Object] = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": version},
        {"op": "add", "path": "/data", "value": made["data"]},
    ]
    await api.patch("Secret", bazaar.namespace, name, steps)


def _certificates(told: dict[str, str]) -> str:
    return "".join(normal(told.get(name, "")) for name in (f"{SIGNER}.crt", f"{NEXT}.crt", OLD))


def _told(found: Authority) -> dict[str, str]:
    told = {
        f"{SIGNER}.crt": found.signer.certificate,
        f"{SIGNER}.key": found.signer.key,
        f"{NEXT}.crt": found.next.certificate,
        f"{NEXT}.key": found.next.key,
        OLD: found.old,
        ASKED: found.asked,
    }
    return {name: text for name, text in told.items() if text}


def _authority(told: dict[str, str], trusted: str) -> Authority | None:
    """Read it back.

    There is none, if it is not one that peers trust: then what they trust is replaced step by step.
    Whose key is lost, or another one's, cannot sign, and is replaced likewise.
    """
    signer, following = _pair(told, SIGNER), _pair(told, NEXT)
    if not signer.certificate or (trusted and signer.certificate not in trusted):
        return None
    if not following.key:
        following = Pair("")
    old = normal(told.get(OLD, ""))
    return Authority(signer=signer, next=following, old=old, asked=told.get(ASKED, ""))


def _pair(told: dict[str, str], name: str) -> Pair:
    certificate, key = normal(told.get(f"{name}.crt", "")), told.get(f"{name}.key", "")
    return Pair(certificate, key if is_pair(certificate, key) else "")


def _texts(secret: Object | None) -> dict[str, str]:
    """Decode a Secret's data; what somebody else wrote there is as good as nothing."""
    data = (secret or {}).get("data") or {}
    return {name: base64.b64decode(text).decode(errors="replace") for name, text in data.items()}
