"""How a ring in a cluster is named."""

from __future__ import annotations

import pytest

from bazaar_peer.command.client import CallError
from bazaar_peer.command.reach import at, named


async def test_rings_are_named_as_kubernetes_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")  # no kubectl that knows of another namespace

    assert await named("kube:shop") == ("default", "shop")
    assert await named("kube:a-1/shop-2") == ("a-1", "shop-2")
    for wrong in ("kube:", "kube:/shop", "kube:a/", "kube:Shop", "kube:a/b?c", "kube:../shop"):
        with pytest.raises(CallError, match="names no ring") as refused:
            await named(wrong)
        assert refused.value.exit_code == 2


def test_address_is_used_as_it_is() -> None:
    async def told(url: str) -> str:
        return url

    assert at("http://127.0.0.1:8600", told) == "http://127.0.0.1:8600"
