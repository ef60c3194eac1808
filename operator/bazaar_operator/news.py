"""What has changed from one status to the next, as events: pure; reasons are stable, for alerts."""

from __future__ import annotations

from collections.abc import Iterator

from bazaar_operator.spec import Bazaar, Status, TlsStatus


def news(bazaar: Bazaar, new: Status) -> list[tuple[str, str, str]]:
    """Return (type, reason, sentence) of what has changed; reasons are stable."""
    old, found = bazaar.status, []
    if old.ring_id and new.ring_id != old.ring_id and old.ring_id in new.former_ring_ids:
        said = f"ring {old.ring_id} was given up: ring {new.ring_id} is made of what peer"
        found.append(("Warning", "RingRecovered", f"{said} {new.recovered_from.peer} has"))
    if new.trader and (new.trader, new.epoch) != (old.trader, old.epoch):
        found.append(("Normal", "TraderElected", f"{new.trader} reigns in epoch {new.epoch}"))
    lives = [{(m.id, m.incarnation) for m in status.members} for status in (old, new)]
    for who, life in sorted(lives[1] - lives[0]):
        found.append(("Normal", "MemberAdded", f"peer {who}, incarnation {life}"))
    for who, life in sorted(lives[0] - lives[1]):
        found.append(("Normal", "MemberRemoved", f"peer {who}, incarnation {life}"))
    for ordinal, volume in sorted(new.volumes.items()):
        if old.volumes.get(ordinal) != volume:
            found.append(("Normal", "VolumeAdmitted", f"peer {ordinal} has volume {volume}"))
    if old.image and new.image != old.image:
        found.append(("Normal", "ImageChanged", f"from {old.image} to {new.image}"))
    found += _tls_news(old.tls, new.tls)
    if new.phase != old.phase:
        found += _phase_news(old, new)
    if _said(new, "Stalled") not in {"", _said(old, "Stalled")}:
        found.append(("Warning", "Stalled", _said(new, "Stalled")))
    if _said(new, "Degraded") not in {"", _said(old, "Degraded")}:
        found.append(("Warning", "CRDOutdated", _said(new, "Degraded")))
    return found


def _tls_news(old: TlsStatus, new: TlsStatus) -> Iterator[tuple[str, str, str]]:
    if new.mode != old.mode:
        yield {
            "Offered": ("Normal", "TlsOffered", "peers speak TLS with those that know it already"),
            "Required": ("Normal", "TlsRequired", "peers speak with each other by TLS alone"),
            "": ("Normal", "TlsOff", "peers speak with each other plainly"),
        }[new.mode]
    if new.step == "Trusting" != old.step:
        yield "Normal", "CertificatesRotating", "a new authority signs, once all peers trust it"
    elif new.step == "Stable" and old.step not in {"", "Stable"}:
        yield "Normal", "CertificatesRotated", "the former authority is trusted no more"
    elif new.step == "Stable" and new.until > old.until:
        yield "Normal", "CertificatesIssued", f"the next ones are due before {new.until}"


def _phase_news(old: Status, new: Status) -> Iterator[tuple[str, str, str]]:
    said = _said(new, "Ready")
    if new.phase == "NoMajority":
        yield "Warning", "MajorityLost", said
    elif new.phase == "Updating":
        yield "Normal", "UpdateStarted", said
    elif new.phase == "Running" and old.phase == "Updating":
        yield "Normal", "UpdateFinished", said
    elif new.phase == "Running":
        yield "Normal", "Running", said
    elif new.phase == "Hibernated":
        yield "Normal", "Hibernated", said
    elif new.phase == "Waking":
        yield "Normal", "Waking", said


def _said(status: Status, name: str) -> str:
    return next((c.message for c in status.conditions if c.type == name), "")
