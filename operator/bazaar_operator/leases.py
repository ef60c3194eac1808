"""One Lease a Bazaar: who reconciles it. A Bazaar that another operator holds is left alone.

The holder is this operator's Deployment, so a new pod of it takes over at once; another operator
has to wait until the lease has run out. A lease is renewed long before that, and every write of
the operator comes after `claim` in the same pass.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from bazaar_operator.api import Api, Object
from bazaar_operator.manifests.metadata import head
from bazaar_operator.spec import Bazaar

DURATION_S = 60
RENEW_S = 20


class Leases:
    def __init__(self, api: Api, holder: str) -> None:
        self._api, self._holder = api, holder
        self._renewed: dict[str, float] = {}
        """By the uid of the Bazaar: when this process last renewed its lease (monotonic)."""

    async def claim(self, bazaar: Bazaar, now: float) -> bool:
        """Tell whether the Bazaar is this operator's; take it if it is nobody's."""
        began = time.monotonic()
        if began - self._renewed.get(bazaar.uid, -DURATION_S) < RENEW_S:
            return True
        spec = {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": DURATION_S,
            "renewTime": datetime.fromtimestamp(now, UTC).strftime("%FT%T.%fZ"),
        }
        found = await self._api.get("Lease", bazaar.namespace, bazaar.name)
        if found is None:
            lease = head(bazaar, "coordination.k8s.io/v1", "Lease", bazaar.name)
            await self._api.create(lease | {"spec": spec})
        elif not self._is_free(found, now):
            return False
        else:
            version = found["metadata"]["resourceVersion"]
            steps: list[Object] = [
                {"op": "test", "path": "/metadata/resourceVersion", "value": version},
                {"op": "add", "path": "/spec", "value": spec},
                {
                    "op": "add",
                    "path": "/metadata/ownerReferences",
                    "value": head(bazaar, "", "", "")["metadata"]["ownerReferences"],
                },
            ]
            await self._api.patch("Lease", bazaar.namespace, bazaar.name, steps)
        self._renewed[bazaar.uid] = began
        return True

    def _is_free(self, lease: Object, now: float) -> bool:
        spec = lease.get("spec") or {}
        holder, renewed = spec.get("holderIdentity"), spec.get("renewTime")
        if not holder or holder == self._holder or not renewed:
            return True
        lasts = spec.get("leaseDurationSeconds") or DURATION_S
        return datetime.fromisoformat(renewed).timestamp() + lasts < now
