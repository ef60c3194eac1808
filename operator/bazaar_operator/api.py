"""The Kubernetes API as this operator needs it: six verbs on dicts, one kind of error.

`DynamicClient` is used without its discovery: the kinds are few and known, and discovery would ask
for cluster-wide rights. Whatever goes wrong is an `ApiError`; PATCH is not retried here, because
the next reconcile begins with a new observation anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.dynamic import DynamicClient

from bazaar_operator import labels

Object = dict[str, Any]
TIMEOUT_S = 10.0

_PATHS = {
    labels.KIND: (f"/apis/{labels.API_VERSION}", labels.PLURAL),
    "StatefulSet": ("/apis/apps/v1", "statefulsets"),
    "Service": ("/api/v1", "services"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "Secret": ("/api/v1", "secrets"),
    "Pod": ("/api/v1", "pods"),
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims"),
    "Event": ("/api/v1", "events"),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets"),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies"),
    "Lease": ("/apis/coordination.k8s.io/v1", "leases"),
}


class ApiError(Exception):
    """A call that failed; status 0 means that no answer came at all."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status or 'no answer'}: {message}")
        self.status = status

    @property
    def is_conflict(self) -> bool:
        """Somebody wrote between: 409, or a JSON patch whose test failed (422)."""
        return self.status in {409, 422}


async def configuration() -> client.Configuration:
    """From the pod's service account, or outside of a cluster from the kubeconfig."""
    found = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=found)
    except config.ConfigException:
        await config.load_kube_config(client_configuration=found)
    return found


class Api:
    """Made and closed in the loop that uses it; `count` is told each answer's status."""

    def __init__(self, found: client.Configuration, count: Callable[[int], object]) -> None:
        self._client = client.ApiClient(configuration=found)
        self._dynamic = DynamicClient(self._client)  # not awaited: no discovery
        self._count = count

    async def close(self) -> None:
        await self._client.close()

    async def get(self, kind: str, namespace: str, name: str) -> Object | None:
        try:
            return await self._call("get", _path(kind, namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def all(self, kind: str, namespace: str, selector: str = "") -> list[Object]:
        """Return all of a namespace, or of all namespaces if that is empty."""
        path = _path(kind, namespace)
        found = await self._call("get", path, label_selector=selector or None)
        items: list[Object] = found.get("items") or []
        return items

    async def create(self, manifest: Mapping[str, Any]) -> Object:
        path = _path(manifest["kind"], manifest["metadata"]["namespace"])
        return await self._call("post", path, body=manifest)

    async def apply(self, manifest: Mapping[str, Any]) -> Object:
        """Apply server-side: only the fields named here are ours, and those are taken."""
        meta = manifest["metadata"]
        return await self._call(
            "patch",
            _path(manifest["kind"], meta["namespace"], meta["name"]),
            body=manifest,
            content_type="application/apply-patch+yaml",
            field_manager=labels.FIELD_MANAGER,
            force_conflicts=True,
        )

    async def patch(
        self, kind: str, namespace: str, name: str, steps: list[Object], sub: str = ""
    ) -> Object:
        """Patch by JSON patch; a test that fails is a conflict."""
        path = _path(kind, namespace, name) + (f"/{sub}" if sub else "")
        return await self._call(
            "patch", path, body=steps, content_type="application/json-patch+json",
            field_manager=labels.FIELD_MANAGER,
        )  # fmt: skip

    async def delete(self, kind: str, namespace: str, name: str, uid: str) -> None:
        """Delete exactly this object, never one that has got its name since."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        try:
            await self._call("delete", _path(kind, namespace, name), body=options)
        except ApiError as error:
            if error.status not in {404, 409}:  # gone, or it is another one
                raise

    async def _call(self, method: str, path: str, **parts: Any) -> Object:
        status = 0
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self._dynamic.request(
                    method, path, serialize=False, _request_timeout=TIMEOUT_S, **parts
                )
                status = answer.status
                found: Object = await answer.json()
                return found
        except client.ApiException as error:
            status = error.status
            raise ApiError(status, f"{method} {path}: {error.reason} {error.body}") from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ApiError(0, f"{method} {path}: {error!r}") from error
        finally:
            self._count(status)


def _path(kind: str, namespace: str, name: str = "") -> str:
    prefix, plural = _PATHS[kind]
    place = f"/namespaces/{namespace}" if namespace else ""
    return f"{prefix}{place}/{plural}" + (f"/{name}" if name else "")
