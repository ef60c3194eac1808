"""When a ring's token goes by TLS alone: once everybody was met that way, and never too early."""

from __future__ import annotations

from typing import Any

import pytest

from bazaar_operator.observation import Observation, StatefulSet
from bazaar_operator.spec import Tls, TlsStatus
from bazaar_operator.trust import Trust
from bazaar_operator.trust_modes import mode_of, token_mode_of
from bazaar_operator.views import OFFERED, REQUIRED, TlsView
from tests.unit.operator.test_plan import bazaar, member, pod, seen, view

MEMBERS = tuple(member(i) for i in range(3))


def ring(
    latched: TlsStatus, revisions: str = "new", verified: str = "yyy", **changes: Any
) -> Observation:
    """Three peers with certificates; `verified`: by which of them the operator was met by TLS."""
    told = TlsView(mode=REQUIRED)
    pods = tuple(
        pod(i, view(i, MEMBERS, tls=told, verified=mark == "y"), revision=revisions)
        for i, mark in enumerate(verified)
    )
    return seen(bazaar(tls=Tls(enabled=True), status={"tls": latched}), pods, **changes)


def test_token_goes_by_tls_alone_once_all_were_met_by_it() -> None:
    known = TlsStatus(mode=REQUIRED)

    assert token_mode_of(ring(known)) == REQUIRED
    assert token_mode_of(ring(known, verified="yny")) == ""


def test_it_waits_for_pods_of_a_former_revision() -> None:
    """They were met by TLS, but who comes in their place may be of a template without it."""
    known = TlsStatus(mode=REQUIRED)

    assert token_mode_of(ring(known, revisions="old")) == ""


def test_it_waits_until_new_pods_are_of_the_wished_template() -> None:
    known = TlsStatus(mode=REQUIRED)
    stale = StatefulSet(replicas=3, revision="new", applied="of a former template")

    assert token_mode_of(ring(known, statefulset=stale)) == ""


def test_it_waits_until_peers_were_told_to_require_tls_of_each_other() -> None:
    """What is decided in this pass is latched in this pass, and acted upon in the next."""
    offered = ring(TlsStatus(mode=OFFERED))

    assert mode_of(offered) == REQUIRED
    assert token_mode_of(offered) == ""


def test_it_waits_for_a_ring_that_is_seen() -> None:
    known = TlsStatus(mode=REQUIRED)
    nobody = seen(ring(known).bazaar, ())

    assert token_mode_of(nobody) == ""


@pytest.mark.parametrize("verified", ["yyy", "nnn"])
def test_what_is_latched_stays_whoever_is_met_how(verified: str) -> None:
    known = TlsStatus(mode=REQUIRED, token=REQUIRED)

    assert token_mode_of(ring(known, revisions="old", verified=verified)) == REQUIRED


@pytest.mark.parametrize("token", ["", REQUIRED])
def test_secrets_of_somebody_else_change_nothing(token: str) -> None:
    known = TlsStatus(mode=REQUIRED, token=token)

    assert token_mode_of(ring(known, trust=Trust(foreign="fair-ca"))) == token


def test_without_tls_between_peers_it_goes_in_clear() -> None:
    known = TlsStatus(mode=REQUIRED, token=REQUIRED)
    off = seen(bazaar(tls=Tls(enabled=False), status={"tls": known}), ring(known).pods)

    assert token_mode_of(off) == ""
