"""kopf's part: watch, and wake the loop. No finalizer, no timer, no daemon, no delete handler.

Deletion needs no operator: owner references do it. Events of children only wake the reconcile of
their Bazaar; a lost one is made up for by the walk.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import kopf

from bazaar_operator import labels
from bazaar_operator.loop import STUCK_S, Key, Loop

CHILDREN = {labels.MANAGED_BY: labels.FIELD_MANAGER}
OBJECTS = (
    ("", "services"),
    ("", "configmaps"),
    ("policy", "poddisruptionbudgets"),
    ("networking.k8s.io", "networkpolicies"),
)
"""Kinds that are watched only to put right what others do to them."""

Login = Callable[..., kopf.ConnectionInfo | None]


def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """In a cluster by the service account, elsewhere by the kubeconfig."""
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)


def configure(settings: kopf.OperatorSettings, *, namespaced: bool) -> None:
    storage = kopf.AnnotationsProgressStorage(prefix=labels.GROUP)
    settings.persistence.progress_storage = storage
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(
        prefix=labels.GROUP, key="last-handled-configuration"
    )
    settings.persistence.finalizer = f"{labels.GROUP}/operator"
    settings.peering.standalone = True
    settings.scanning.disabled = namespaced  # else it asks for cluster-wide rights
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.networking.error_backoffs = [0.5, 1, 2, 4, 8]
    settings.posting.level = logging.WARNING
    settings.posting.loggers = False
    settings.execution.default_backoff = 10
    settings.watching.chunk_size = 500
    for kind in ("pods", "statefulsets", *(plural for _, plural in OBJECTS)):
        settings.watching.label_selectors[kind] = labels.MANAGED_SELECTOR


def register(
    make: Callable[[], Any], *, namespaced: bool, login: Login = login
) -> kopf.OperatorRegistry:
    """Return the handlers around a loop that `make` opens as an async context."""
    registry = kopf.OperatorRegistry()
    held = contextlib.AsyncExitStack()
    loops: list[Loop] = []

    @kopf.on.login(registry=registry)
    def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return login(**kwargs)

    @kopf.on.startup(registry=registry)
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings, namespaced=namespaced)
        loop: Loop = await held.enter_async_context(make())
        loops.append(loop)
        task = asyncio.create_task(loop.run(), name="the walk over all Bazaars")
        held.callback(task.cancel)

    @kopf.on.cleanup(registry=registry)
    async def stop(**_: Any) -> None:
        await held.aclose()

    @kopf.on.probe(registry=registry, id="walk_age_s")
    def probe(**_: Any) -> float:
        """Fail once the walk is stuck: a process whose health port answers may still do nothing."""
        if loops[0].age_s > STUCK_S:
            raise kopf.PermanentError(f"the walk has not come round for {loops[0].age_s:.0f} s")
        return loops[0].age_s

    _watch(registry, loops)
    return registry


def _watch(registry: kopf.OperatorRegistry, loops: list[Loop]) -> None:
    """Wake the loop by whatever happens to a Bazaar or to what belongs to it."""

    @kopf.on.create(labels.GROUP, labels.PLURAL, id="reconcile", registry=registry)
    @kopf.on.resume(labels.GROUP, labels.PLURAL, id="reconcile", registry=registry)
    @kopf.on.update(labels.GROUP, labels.PLURAL, id="reconcile", registry=registry)
    async def changed(namespace: str | None, name: str, reason: str, **_: Any) -> None:
        loops[0].wake(Key(namespace or "", name), reason)

    @kopf.on.event(labels.GROUP, labels.PLURAL, registry=registry)
    async def told(body: kopf.Body, **_: Any) -> None:
        loops[0].metrics.told(body.get("kind", ""))

    @kopf.on.event("pods", labels=CHILDREN, registry=registry)
    @kopf.on.event("apps", "statefulsets", labels=CHILDREN, registry=registry)
    async def child(namespace: str | None, body: kopf.Body, **_: Any) -> None:
        loops[0].metrics.told(body.get("kind", ""))
        if name := body.metadata.labels.get(labels.BAZAAR):
            loops[0].wake(Key(namespace or "", name), "child")

    async def touched(namespace: str | None, body: kopf.Body, **_: Any) -> None:
        loops[0].metrics.told(body.get("kind", ""))
        if name := body.metadata.labels.get(labels.BAZAAR):
            loops[0].wake(Key(namespace or "", name), "child", touched=True)

    for group, plural in OBJECTS:
        kopf.on.event(group, plural, labels=CHILDREN, registry=registry)(touched)
