"""Bringing the definition: never downgraded, looked at again after a conflict, waited for."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from kubernetes.aio.client.exceptions import ApiException

from bazaar_operator import crd, labels

ESTABLISHED = [{"type": "Established", "status": "True"}]
NOT_YET = [{"type": "Established", "status": "False", "message": "not all names are accepted"}]


class FakeCluster:
    """The one object, with its resource version; `conflicts` writers are faster than we."""

    def __init__(self, version: str | None, *, conflicts: int = 0) -> None:
        self.stored: dict[str, Any] | None = None
        self.conditions = ESTABLISHED
        self.applied: list[dict[str, Any]] = []
        self._conflicts = conflicts
        if version is not None:
            self.stored = copy.deepcopy(crd.manifest())
            self.stored["metadata"]["annotations"] = {labels.CRD_VERSION: version}
            self.stored["metadata"]["resourceVersion"] = "1"

    async def get(self) -> Mapping[str, Any] | None:
        if self.stored is None:
            return None
        return copy.deepcopy(self.stored) | {"status": {"conditions": self.conditions}}

    async def apply(self, manifest: Mapping[str, Any]) -> None:
        if self._conflicts:
            self._conflicts -= 1
            if self.stored is not None:
                count = int(self.stored["metadata"]["resourceVersion"]) + 1
                self.stored["metadata"]["resourceVersion"] = str(count)
            raise ApiException(status=409, reason="Conflict")
        known = manifest["metadata"].get("resourceVersion")
        assert known == (self.stored["metadata"]["resourceVersion"] if self.stored else None)
        self.applied.append(copy.deepcopy(dict(manifest)))
        self.stored = copy.deepcopy(dict(manifest))


OURS = crd.version_of(crd.manifest())


@pytest.mark.parametrize("version", [None, "0", "", "by hand", str(OURS)])
async def test_an_older_or_missing_definition_is_brought_up(version: str | None) -> None:
    cluster = FakeCluster(version)

    said = await crd.apply(cluster)

    assert f"has version {OURS}" in said
    assert crd.version_of(cluster.applied[0]) == OURS


async def test_a_newer_definition_is_left_alone() -> None:
    cluster = FakeCluster(str(OURS + 1))

    said = await crd.apply(cluster)

    assert "left as it is" in said
    assert cluster.applied == []


async def test_who_comes_second_looks_again() -> None:
    cluster = FakeCluster("0", conflicts=2)

    await crd.apply(cluster)

    assert cluster.applied[0]["metadata"]["resourceVersion"] == "3"


async def test_endless_conflicts_end() -> None:
    with pytest.raises(ApiException):
        await crd.apply(FakeCluster("0", conflicts=99))


async def test_it_says_why_a_definition_is_not_served() -> None:
    cluster = FakeCluster(None)
    cluster.conditions = NOT_YET

    with pytest.raises(crd.NotEstablished, match="not all names are accepted"):
        await crd.apply(cluster, timeout_s=0)


async def test_a_schema_that_is_not_structural_is_told() -> None:
    cluster = FakeCluster(None)
    cluster.conditions = [
        *ESTABLISHED,
        {"type": "NonStructuralSchema", "status": "True", "message": "spec: must not be empty"},
    ]

    with pytest.raises(crd.NotEstablished, match="must not be empty"):
        await crd.apply(cluster, timeout_s=0)
