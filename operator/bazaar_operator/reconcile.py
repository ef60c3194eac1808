"""Observe, note what was found, plan, act: one pass over one Bazaar, and nothing kept for the next.

A pass never trusts a former one. It reads the resource afresh, writes the new status by
compare-and-swap against exactly that, and plans only on what was durable when it began; so
it may be cut off anywhere, and a second operator could at worst do the same thing twice.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator

import msgspec
from msgspec import Struct

from bazaar_operator import labels, recovery
from bazaar_operator.act import RESYNC_S, Hands
from bazaar_operator.api import Api, Object
from bazaar_operator.events import tell
from bazaar_operator.leases import Leases
from bazaar_operator.metrics import Metrics
from bazaar_operator.news import news
from bazaar_operator.observation import Observation, Pod
from bazaar_operator.observe import look_at, observe
from bazaar_operator.peers import PeerError, Peers
from bazaar_operator.plan import Apply, DeleteClaim, Resign, StopPod, plan
from bazaar_operator.spec import Bazaar, InvalidSpec, Status, parse
from bazaar_operator.status import derive, invalid
from bazaar_operator.views import OFFERED, PeerView

logger = logging.getLogger(__name__)

AT_ONCE_S = 0.1
UNSETTLED_S = 2.0
STOPS = (StopPod, Resign, DeleteClaim)
"""What is not done on a view that grew old while the API server was slow."""
MOVING = frozenset({"Trusting", "Issuing"})
SETTLED = frozenset({"Running", "Hibernated", "Paused", "Invalid"})


class Pass(Struct, frozen=True, kw_only=True):
    """What came of a pass: when to look again, and what was seen of the peers."""

    again_s: float = RESYNC_S
    gone: bool = False
    pods: tuple[Pod, ...] = ()


class Reconciler:
    def __init__(
        self,
        api: Api,
        peers: Peers,
        metrics: Metrics,
        *,
        image: str,
        holder: str,
        scope: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.api, self.peers, self.metrics = api, peers, metrics
        self.hands = Hands(api, peers, metrics)
        self.leases = Leases(api, holder)
        self.image, self.scope, self.clock = image, scope, clock
        self.dropped: tuple[str, ...] = ()
        """What the API server did not keep of the status that was last written."""
        self._turns = asyncio.Lock()
        """Held from the look at the others until the status says who is updated now."""

    async def reconcile(self, namespace: str, name: str, *, touched: bool = False) -> Pass:
        """One pass; `touched`: somebody may have changed an object of the Bazaar.

        Raises:
            ApiError: The next pass begins anew.
        """
        body = await self.api.get(labels.KIND, namespace, name)
        if body is None:
            self.metrics.forget(namespace, name)
            return Pass(gone=True)
        try:
            bazaar = parse(body)
        except InvalidSpec as wrong:
            return await self._refuse(body, str(wrong))
        if bazaar.deleting or not await self.leases.claim(bazaar, self.clock()):
            return Pass()
        if touched:
            self.hands.look_again(bazaar.uid)
        created = body["metadata"]["creationTimestamp"]
        if bazaar.status.image in {"", self.image}:
            seen, status = await self._look(bazaar, created, turn=True)
        else:
            async with self._turns:
                turn = await self._is_turn(bazaar)
                seen, status = await self._look(bazaar, created, turn=turn)
        return await self._act(seen, status)

    async def _refuse(self, body: Object, why: str) -> Pass:
        """Say what is wrong, once; nothing is retried until the resource changes."""
        try:
            bazaar = parse(body | {"spec": {}})
        except InvalidSpec:  # not even the status can be read: what is latched must not be lost
            logger.error("%s", why)  # noqa: TRY400 - the sentence says it all
            return Pass()
        if await self.leases.claim(bazaar, self.clock()):
            status = invalid(bazaar, why, self.clock())
            if status != bazaar.status:
                await self._write(bazaar, status)
                await tell(self.api, bazaar, "Warning", "InvalidSpec", why)
            self.metrics.show_phase(bazaar.namespace, bazaar.name, status.phase)
        return Pass()

    async def _is_turn(self, bazaar: Bazaar) -> bool:
        """Nobody else is on the way to this operator's image: a bad one stops at the first ring."""
        for other in await self.api.all(labels.KIND, self.scope):
            status = other.get("status") or {}
            on_the_way = (status.get("image"), status.get("phase")) == (self.image, "Updating")
            if on_the_way and other["metadata"]["uid"] != bazaar.uid:
                return False
        return True

    async def _look(
        self, bazaar: Bazaar, created: str, *, turn: bool
    ) -> tuple[Observation, Status]:
        seen = await observe(
            self.api,
            self.peers,
            bazaar,
            created,
            now=self.clock(),
            image=self.image,
            turn=turn,
            dropped=self.dropped,
        )
        status = derive(seen)
        if recovery.is_due(seen) and await self.has_news(seen.pods):
            return seen, bazaar.status  # no ring is given up on a view that grew old
        if status != bazaar.status or self.dropped:  # once more, to see whether it is kept now
            await self._write(bazaar, status)
            for kind, reason, message in news(bazaar, status):
                await tell(self.api, bazaar, kind, reason, message)
        self.metrics.show_phase(bazaar.namespace, bazaar.name, status.phase)
        return seen, status

    async def _write(self, bazaar: Bazaar, status: Status) -> None:
        """Compare and swap: written only if nobody has written since this pass read (R14)."""
        version = bazaar.resource_version
        told: Object = msgspec.to_builtins(status)
        steps: list[Object] = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": version},
            {"op": "add", "path": "/status", "value": told},
        ]
        name = (bazaar.namespace, bazaar.name)
        written = await self.api.patch(labels.KIND, *name, steps, sub="status")
        self.dropped = tuple(_dropped(told, written.get("status") or {}))

    async def _act(self, seen: Observation, status: Status) -> Pass:
        """Act on what was durable before; what was latched just now is for the next pass."""
        again = not self.dropped and _latches(status) != _latches(seen.bazaar.status)
        actions = plan(seen)
        if actions:
            await self.hands.token(seen)  # pods mount the Secret, so it comes first
        for action in actions:
            if isinstance(action, STOPS) and await self.has_news(seen.pods):
                return Pass(again_s=AT_ONCE_S, pods=seen.pods)
            try:
                changed = await self.hands.act(seen, action)
            except PeerError as error:
                logger.info("%s/%s: %s", seen.bazaar.namespace, seen.bazaar.name, error)
                continue
            again = again or changed
            if changed and isinstance(action, Apply) and action.manifest["kind"] == "StatefulSet":
                break  # what was seen of revisions is no longer true
        unsettled = status.phase not in SETTLED or seen.peers_image != seen.image
        unsettled = unsettled or status.tls.mode == OFFERED or status.tls.step in MOVING
        pause = AT_ONCE_S if again else UNSETTLED_S if unsettled else RESYNC_S
        return Pass(again_s=pause, pods=seen.pods)

    async def has_news(self, pods: tuple[Pod, ...]) -> bool:
        """Ask the peers alone, without the API server: is the ring still as it was seen?"""
        views = await look_at(self.peers, list(pods))
        return [_gist(pod.peer) for pod in pods] != [_gist(view) for view in views]


def _dropped(told: Object, kept: Object) -> Iterator[str]:
    """Yield the fields that an older definition does not know."""
    for name, value in sorted(told.items()):
        if name not in kept:
            yield name
        elif isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in _dropped(value, kept[name]))


def _latches(status: Status) -> tuple[object, ...]:
    tls = status.tls.mode, status.tls.keys, status.tls.token
    return status.ring_id, status.history, status.volumes, status.image, tls


def _gist(view: PeerView | None) -> tuple[object, ...]:
    """What the plan depends on; not what grows all the time."""
    if view is None:
        return ()
    return (
        view.state, view.volume, view.ready, view.role, view.trader, view.epoch, view.voter,
        view.size, view.members,
    )  # fmt: skip
