"""Whom a ring's peers trust, and by which certificates they are known: what there is, what is next.

A ring has an authority of its own; all keys of peers are made at once, up to the largest ring, so
that scaling needs none. TLS is switched on and off while the ring trades: it is *Offered* while
some peers know it and some do not, and *Required* once all have said that they do.

An authority is replaced in three steps, each taken when every pod has said that the one before has
come to it: both are trusted (*Trusting*), all are certified by the new one (*Issuing*), the old one
is trusted no more (*Stable*). All is derived from the Secrets and from what peers say, so that an
operator that dies goes on where it stopped.

`next_step`, `mode_of` and `is_due` decide; `stepped` and `files_for` make keys and signatures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec import Struct

from bazaar_operator import certificates, labels
from bazaar_operator.certificates import Pair
from bazaar_operator.observation import Observation, Pod, hash_of
from bazaar_operator.spec import PEERS_MAX, Bazaar, TlsStatus
from bazaar_operator.trust_modes import MODE_FILE, TOKEN_FILE, mode_of, token_mode_of
from bazaar_operator.views import OFFERED, TlsView

TRUST_FILE = "ca.crt"


def file_of(peer: int) -> str:
    return f"peer-{peer}.crt"


FILES = (MODE_FILE, TOKEN_FILE, TRUST_FILE, *(file_of(peer) for peer in range(PEERS_MAX)))
Step = Literal["", "make", "begin", "promote", "retire"]


class Authority(Struct, frozen=True, kw_only=True):
    """Who signs; `next` is to follow it and is only trusted yet, `old` went before and still is."""

    signer: Pair
    next: Pair = Pair("")
    old: str = ""
    asked: str = ""
    """The last wish for another one (annotation `bazaar.dev/rotate-certificates`) that was met."""

    @property
    def bundle(self) -> str:
        return self.signer.certificate + self.next.certificate + self.old

    @property
    def step(self) -> str:
        return "Trusting" if self.next.certificate else "Issuing" if self.old else "Stable"


class Trust(Struct, frozen=True, kw_only=True):
    """What the three Secrets hold; `version` is that of the authority's, which is swapped."""

    authority: Authority | None = None
    version: str = ""
    keys: dict[str, str] = {}
    """By the name of the pod: that is how a pod finds its own."""
    files: dict[str, str] = {}
    """What all pods see: mode, whom to trust, and everybody's certificate."""
    known: str = ""
    """Certificates in the ring's own NAME-ca, whatever the other Secrets hold."""
    foreign: str = ""
    """A Secret that has the name of one of these, and does not belong to this Bazaar."""


def status_of(seen: Observation) -> TlsStatus:
    """Return what to tell of it, and to latch: the mode, and which keys the pods were given."""
    found, trust, mode = seen.bazaar.status.tls, seen.trust, mode_of(seen)
    token = token_mode_of(seen)
    if mode == "":
        return TlsStatus()
    if trust is None or trust.authority is None:
        return msgspec.structs.replace(found, mode=mode, token=token)
    issued = [trust.files.get(file_of(peer), "") for peer in range(PEERS_MAX)]
    until = min((certificates.ends_at(text) for text in issued), default=0.0)
    return TlsStatus(
        mode=mode,
        token=token,
        keys=hash_of(trust.keys) if trust.keys else "",
        step=trust.authority.step,
        until=datetime.fromtimestamp(until, UTC).strftime("%FT%TZ") if until else "",
    )


def is_due(seen: Observation) -> bool:
    """Tell whether anything in the Secrets is to be made or changed."""
    trust = seen.trust
    if trust is None or trust.foreign:
        return False
    if trust.authority is None or next_step(seen) or lacks_keys(seen):
        return True
    wished = _modes(seen.bazaar) | {TRUST_FILE: trust.authority.bundle}
    return bool(wished.items() - trust.files.items() or _not_good(seen.bazaar, seen.now, trust))


def lacks_keys(seen: Observation) -> bool:
    return seen.trust is not None and seen.trust.keys.keys() != pods(seen.bazaar)


def is_unsettled(seen: Observation) -> bool:
    """Tell whether pods cannot be built yet: their mode, or their keys, are not latched."""
    latched = seen.bazaar.status.tls
    waits = bool(refusal(seen)) and seen.statefulset is None  # to begin without TLS was not asked
    return waits or mode_of(seen) != latched.mode or bool(latched.mode and not latched.keys)


def refusal(seen: Observation) -> str:
    """Return why the ring gets no certificates, or nothing."""
    name = seen.trust.foreign if seen.trust else ""
    if not name:
        return ""
    return (
        f"Secret {name} belongs to somebody else, and the ring's certificates want its name: delete"
        " it, or give the Bazaar another name"
    )


def next_step(seen: Observation) -> Step:
    """Return the step that the authority takes next."""
    trust, bazaar = seen.trust, seen.bazaar
    assert trust is not None, "asked of rings with certificates only"
    found = trust.authority
    if found is None:
        return "make"
    if found.next.certificate:
        over = certificates.ends_at(found.signer.certificate) < seen.now or _is_bare(trust)
        return "promote" if over or _all_say(seen, "trust") else ""
    if found.old:
        issued = not _not_good(bazaar, seen.now, trust)
        return "retire" if issued and _all_say(seen, "certificate") else ""
    wish = bazaar.annotations.get(labels.ROTATE, "")
    if not found.signer.key or wish != found.asked:
        return "begin"
    domains = labels.domains(bazaar.name, bazaar.namespace)
    if not certificates.may_name(found.signer.certificate, *domains):
        return "begin"  # a former release's
    return "begin" if certificates.is_due(found.signer.certificate, seen.now) else ""


def trusted(trust: Trust) -> str:
    """Return whom the ring trusts, PEM; peers that run may not have come to it yet."""
    found = trust.authority
    bundle = found.bundle if found else certificates.normal(trust.files.get(TRUST_FILE, ""))
    return bundle + trust.known


def _is_bare(trust: Trust) -> bool:
    """Whether peers lack certificates, and nobody can sign any: they cannot come to anything."""
    found = trust.authority
    lacking = any(not trust.files.get(file_of(peer)) for peer in range(PEERS_MAX))
    return found is not None and not found.signer.key and lacking


def lagging(trust: Trust, pods: Iterable[Pod]) -> list[Pod]:
    """Return the pods that do not use yet what the Secrets hold."""
    found = []
    for pod in pods:
        view, given = pod.peer.tls if pod.peer else None, _given(trust, pod)
        if view is not None and msgspec.structs.replace(view, why="") != given:
            found.append(pod)
    return found


def _given(trust: Trust, pod: Pod) -> TlsView:
    """Return what a pod says that uses what the Secrets hold."""
    return TlsView(
        mode=trust.files.get(MODE_FILE, ""),
        trust=mark_of(trust.files.get(TRUST_FILE, "")),
        certificate=mark_of(trust.files.get(file_of(pod.ordinal), "")),
    )


def _all_say(seen: Observation, what: Literal["trust", "certificate"]) -> bool:
    """Whether every pod says that it uses what the Secrets hold; one that is silent may not."""
    assert seen.trust is not None
    for pod in seen.pods:
        view, given = pod.peer.tls if pod.peer else None, _given(seen.trust, pod)
        if view is not None and view.mode == "":
            continue  # it waits, uses nothing, and will begin with what there is then
        if view is None or getattr(view, what) != getattr(given, what):
            return False
    found = seen.trust.authority
    return found is not None and seen.trust.files.get(TRUST_FILE) == found.bundle


def _not_good(bazaar: Bazaar, now: float, trust: Trust) -> list[int]:
    """Return the peers whose certificate is to be made anew."""
    if trust.authority is None or not trust.authority.signer.key:
        return []
    signer, keys = trust.authority.signer, dict(enumerate(_sorted(trust.keys)))

    def good(peer: int) -> bool:
        text, key = trust.files.get(file_of(peer), ""), keys.get(peer, "")
        named = names(bazaar, peer, signer)
        return certificates.is_good(text, signer.certificate, key, named, now)

    return [peer for peer in range(PEERS_MAX) if not good(peer)]


def _sorted(keys: dict[str, str]) -> list[str]:
    """Return the keys in the order of the pods' numbers."""
    return [keys[name] for name in sorted(keys, key=lambda name: int(name.rpartition("-")[2]))]


# ---- what makes something new


def stepped(seen: Observation) -> Authority:
    """Return the authority after its next step."""
    assert seen.trust is not None
    found = seen.trust.authority
    told = certificates.normal(seen.trust.files.get(TRUST_FILE, ""))
    asked = seen.bazaar.annotations.get(labels.ROTATE, "")
    if found is None and told:  # the Secret is lost: what is trusted now ends by a rotation
        old = _displaced(seen.trust, told)
        return Authority(signer=Pair(told), next=_made(seen), old=old, asked=asked)
    if found is None:
        return Authority(signer=_made(seen), asked=asked)
    change = msgspec.structs.replace
    match next_step(seen):
        case "begin":
            return change(found, next=_made(seen), asked=asked)
        case "promote":
            old = found.signer.certificate + found.old
            return change(found, signer=found.next, next=Pair(""), old=old)
        case "retire":
            return change(found, old="")
        case "make" | "":
            return found


def _displaced(trust: Trust, told: str) -> str:
    """Return who issued what peers show, if it is not said any more that it is to be trusted."""
    shown = [trust.files.get(file_of(peer), "") for peer in range(PEERS_MAX)]
    found = certificates.issuers(trust.known, shown)
    return "" if found in told else found


def keys_for(bazaar: Bazaar, found: dict[str, str]) -> dict[str, str]:
    """Return a key for each peer that there may be; those that are there stay."""
    return {pod: found.get(pod) or certificates.new_key() for pod in pods(bazaar)}


def files_for(bazaar: Bazaar, trust: Trust, now: float) -> dict[str, str]:
    """Return what all pods are to see; certificates that are good stay as they are."""
    found = trust.authority
    assert found is not None, "it is made first"
    files = _modes(bazaar) | {TRUST_FILE: found.bundle}
    anew = set(_not_good(bazaar, now, trust))
    for peer, key in enumerate(_sorted(trust.keys)):
        title, named = f"peer {peer}", names(bazaar, peer, found.signer)
        files[file_of(peer)] = (
            certificates.issue(found.signer, key, title, named, now)
            if peer in anew
            else trust.files.get(file_of(peer), "")
        )
    return files


def _modes(bazaar: Bazaar) -> dict[str, str]:
    latched = bazaar.status.tls
    return {MODE_FILE: latched.mode, TOKEN_FILE: latched.token or OFFERED}


def _made(seen: Observation) -> Pair:
    bazaar = seen.bazaar
    title = f"ring {bazaar.name}"
    return certificates.authority(title, labels.domains(bazaar.name, bazaar.namespace), seen.now)


def names(bazaar: Bazaar, peer: int, by: Pair) -> list[str]:
    """Return the names of a peer that an authority may certify, its own first."""
    found = labels.names_of(bazaar.name, bazaar.namespace, peer)
    return [name for name in found if certificates.may_name(by.certificate, name)]


def pods(bazaar: Bazaar) -> set[str]:
    """Return the names of all pods that there may ever be."""
    return {labels.pod(bazaar.name, peer) for peer in range(PEERS_MAX)}


def mark_of(content: str) -> str:
    """Name a text by what is in it, as peers do."""
    return hashlib.sha256(content.encode()).hexdigest()[:16] if content else ""
