"""The operator's process: `python -m bazaar_operator`. Only here the environment is read.

- `BAZAAR_PEER_IMAGE`: the image of the peers, with this operator's release in it. Needed.
- `BAZAAR_NAMESPACE`: reconcile this namespace alone; empty: all.
- `OPERATOR_ID`: the namespace/name of this Deployment, which holds the Bazaars' leases.
- `BAZAAR_LOG_LEVEL`: DEBUG, INFO (the default), WARNING or ERROR.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Mapping

import kopf
from kubernetes.aio.client import Configuration
from msgspec import Struct

from bazaar_operator import labels
from bazaar_operator.api import Api, configuration
from bazaar_operator.handlers import register
from bazaar_operator.loop import WALK_S, Loop
from bazaar_operator.metrics import Metrics
from bazaar_operator.peers import Peers
from bazaar_operator.reconcile import Reconciler

HEALTH = "http://0.0.0.0:8080/healthz"
METRICS_PORT = 9090


class Settings(Struct, frozen=True, kw_only=True):
    image: str
    namespace: str = ""
    holder: str = "local/bazaar-operator"
    log_level: str = "INFO"


def settings_from(environment: Mapping[str, str]) -> Settings:
    image = environment.get("BAZAAR_PEER_IMAGE", "")
    if not image:
        sys.exit("BAZAAR_PEER_IMAGE is not set: give the image that peers are to run")
    return Settings(
        image=image,
        namespace=environment.get("BAZAAR_NAMESPACE", ""),
        holder=environment.get("OPERATOR_ID") or "local/bazaar-operator",
        log_level=environment.get("BAZAAR_LOG_LEVEL", "INFO").upper(),
    )


@contextlib.asynccontextmanager
async def opened(
    settings: Settings,
    *,
    server: Configuration | None = None,
    peer_port: int = labels.CLIENT_PORT,
    metrics_port: int = METRICS_PORT,
    walk_s: float = WALK_S,
) -> AsyncIterator[Loop]:
    """Everything that needs the running loop: clients, metrics, and the loop over all Bazaars."""
    metrics = Metrics()
    async with contextlib.AsyncExitStack() as held:
        api = Api(server or await configuration(), metrics.count_request)
        held.push_async_callback(api.close)
        peers = Peers(peer_port)
        held.push_async_callback(peers.close)
        if metrics_port:
            held.push_async_callback((await metrics.serve(metrics_port)).cleanup)
        reconciler = Reconciler(
            api,
            peers,
            metrics,
            image=settings.image,
            holder=settings.holder,
            scope=settings.namespace,
        )
        yield Loop(reconciler, metrics, walk_s)


def main() -> None:
    settings = settings_from(os.environ)
    kopf.configure(log_format=kopf.LogFormat.JSON)
    logging.getLogger().setLevel(settings.log_level)
    for noisy in ("kopf.objects", "kopf.activities", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    asyncio.run(
        kopf.operator(
            registry=register(lambda: opened(settings), namespaced=bool(settings.namespace)),
            clusterwide=not settings.namespace,
            namespaces=[settings.namespace] if settings.namespace else [],
            standalone=True,
            liveness_endpoint=HEALTH,
        )
    )


if __name__ == "__main__":
    main()
