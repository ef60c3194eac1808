"""Bring the definition of the resource to the cluster: `python -m bazaar_operator.crd apply`.

Helm installs what is in crds/ once and never upgrades it, so the chart runs this before an upgrade,
with the image of the operator. It is safe to run at any time, by old releases too:

1. A definition whose annotation `bazaar.dev/crd-version` is higher than ours is left alone. A newer
   release brought it, and replacing it would silently drop the newer fields of every Bazaar.
2. The apply names the version of the object that was looked at, so of two that run at once the
   later one looks again.
3. It returns when the API server has established the definition, not before.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Protocol

import yaml
from aiohttp import ClientError
from kubernetes.aio import client, config
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic import DynamicClient

from bazaar_operator import labels

FIELD_MANAGER = "bazaar-crd"
PATH = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{labels.CRD_NAME}"
CONFLICTS_MAX = 5
POLL_S = 0.5
NOT_FOUND, CONFLICT = 404, 409


class NotEstablished(Exception):  # noqa: N818 - a verdict with a sentence
    """The API server took the definition and does not serve it; the text says why."""


class Definitions(Protocol):
    """The one object of the API server that this module needs."""

    async def get(self) -> Mapping[str, Any] | None:
        """The definition as it stands; None if there is none."""

    async def apply(self, manifest: Mapping[str, Any]) -> None:
        """Apply it server-side. Raises ApiException, 409 if it has changed since it was read."""


def manifest() -> dict[str, Any]:
    """The definition that this release knows."""
    text = files("bazaar_operator").joinpath("crd.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def version_of(definition: Mapping[str, Any]) -> int:
    """Its number; 0 for one that has none."""
    notes = definition["metadata"].get("annotations") or {}
    number = notes.get(labels.CRD_VERSION, "0")
    return int(number) if number.isdecimal() else 0


async def apply(cluster: Definitions, *, timeout_s: float = 60.0) -> str:
    """Apply the definition unless a newer one is there, and wait for it; say what was done.

    Raises:
        NotEstablished: The API server does not serve it within the time.
        ApiException: The API server refused.
    """
    said = await _apply(cluster)
    polls = max(1, int(timeout_s / POLL_S))
    why = "it was deleted meanwhile"
    for poll in range(polls):
        if poll:
            await asyncio.sleep(POLL_S)
        found = await cluster.get()
        if found is not None:
            why = _unestablished(found)
            if not why:
                return said
    raise NotEstablished(f"{labels.CRD_NAME} is not established after {timeout_s:.0f} s: {why}")


async def _apply(cluster: Definitions) -> str:
    ours = manifest()
    new = version_of(ours)
    for attempt in range(1, CONFLICTS_MAX + 1):
        found = await cluster.get()
        old = version_of(found) if found else 0
        if old > new:
            return f"{labels.CRD_NAME} has version {old}; ours is {new}, so it is left as it is"
        if found:
            ours["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
        else:
            ours["metadata"].pop("resourceVersion", None)
        try:
            await cluster.apply(ours)
        except ApiException as refused:
            if refused.status != CONFLICT or attempt == CONFLICTS_MAX:
                raise
        else:
            return f"{labels.CRD_NAME} has version {new}" + (f", it had {old}" if old else "")
    raise AssertionError("the last attempt returns or raises")


def _unestablished(definition: Mapping[str, Any]) -> str:
    """Why it is not served; empty when it is."""
    status = definition.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    bad = conditions.get("NonStructuralSchema")
    if bad and bad["status"] == "True":
        return str(bad.get("message", "its schema is not structural"))
    established = conditions.get("Established")
    if established is None:
        return "the API server has not looked at it"
    return "" if established["status"] == "True" else str(established.get("message", ""))


class Cluster:
    """The definition at a real API server."""

    def __init__(self, api: client.ApiClient) -> None:
        self._client: Any = DynamicClient(api)  # dicts, and no discovery for one known path

    async def get(self) -> Mapping[str, Any] | None:
        try:
            answer = await self._client.request("get", PATH)
        except ApiException as refused:
            if refused.status == NOT_FOUND:
                return None
            raise
        found: Mapping[str, Any] = answer.to_dict()
        return found

    async def apply(self, manifest: Mapping[str, Any]) -> None:
        await self._client.request(
            "patch",
            PATH,
            body=dict(manifest),
            content_type="application/apply-patch+yaml",
            field_manager=FIELD_MANAGER,
            force_conflicts="true",
        )


async def _run(timeout_s: float) -> str:
    try:
        config.load_incluster_config()
    except config.ConfigException:  # not in a pod: whoever runs it has a kubeconfig
        await config.load_kube_config()
    async with client.ApiClient() as api:
        return await apply(Cluster(api), timeout_s=timeout_s)


def main() -> None:
    """Apply the definition to the cluster of the pod, or else of the kubeconfig."""
    parser = argparse.ArgumentParser(prog="python -m bazaar_operator.crd", description=main.__doc__)
    parser.add_argument("action", choices=["apply"])
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds to wait for it")
    options = parser.parse_args()
    try:
        said = asyncio.run(_run(options.timeout))
    except NotEstablished as wrong:
        sys.exit(str(wrong))
    except config.ConfigException as wrong:
        sys.exit(
            f"no cluster: run it in a pod with a service account, or with KUBECONFIG ({wrong})"
        )
    except (ClientError, OSError) as wrong:
        sys.exit(f"the API server does not answer: {wrong}")
    except ApiException as refused:
        sys.exit(f"the API server refused {labels.CRD_NAME}: {refused.status} {refused.reason}")
    sys.stdout.write(said + "\n")


if __name__ == "__main__":
    main()
