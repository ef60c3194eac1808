"""The load of a drill in a cluster: `bazaar load` in a pod, driven by programs run beside it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bazaar_peer.command.drill import pod
from bazaar_peer.command.drill.kube import Kube, KubeError, Object, Ran
from bazaar_peer.command.drill.loading import BEGIN_S, END_S, taken
from bazaar_peer.command.drill.place import Audit, Loaded
from bazaar_peer.command.drill.plan import DrillError, Options
from bazaar_peer.command.orders import read_orders
from bazaar_peer.command.pods import FORBIDDEN, NOT_FOUND
from bazaar_peer.runtime.certificates import REQUIRED

LOOK_S = 0.5
START_S = 180.0
"""For the image to be pulled and the container to be started."""
AUDIT_S = 900.0
ASK_S = 10.0
CLOCK_TRIES = 3
DELETE_TRIES = 5
NEVER = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError"}
"""Why a container waits that will never start."""


class LoadPod:
    """One pod; `begin`, `so_far`, `end`, `audit`, and `close` always."""

    def __init__(self, kube: Kube, options: Options) -> None:
        self._kube, self._options = kube, options
        self._space = f"/api/v1/namespaces/{options.namespace}/pods"
        self.name = f"{options.name}-drill-{secrets.token_hex(3)}"
        self._made = False
        self.by_tls = False
        """Whether the ring takes its token by TLS alone; `begin` finds out."""
        self._asking: asyncio.Task[None] | None = None

    async def begin(self, peer: Object, seconds: float) -> None:
        """Make the pod beside a pod of the ring, and return when orders are taken.

        Raises:
            DrillError: it does not start, the ring cannot be audited, or nobody takes an order.
        """
        self.by_tls = await takes_token_by_tls(self._kube, self._options, peer)
        made = pod.manifest(self.name, self._options, peer, seconds, by_tls=self.by_tls)
        self._made = True  # it may have been, whatever the answer
        await self._kube.call("post", self._space, made)
        await self._until(self._runs, START_S, "does not start")
        await self._until(self._audited, AUDIT_S, "does not end its first audit")
        self._asking = asyncio.create_task(self._ask_on())
        await self._until(self._takes, BEGIN_S, "has no order taken")

    async def _ask_on(self) -> None:
        """Let the load know that somebody still wants it, also while a fault takes minutes."""
        while True:
            with contextlib.suppress(KubeError):
                await self._sh(f"touch {pod.ASKED}")
            await asyncio.sleep(ASK_S)

    async def _until(self, done: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
        until = time.monotonic() + seconds
        while not await done():
            if time.monotonic() > until:
                raise DrillError(f"pod {self.name} {what} within {seconds:g} s")
            await asyncio.sleep(LOOK_S)

    async def _runs(self) -> bool:
        found = await self._kube.call("get", f"{self._space}/{self.name}")
        status = found.get("status") or {}
        for container in status.get("containerStatuses") or []:
            waiting = container["state"].get("waiting") or {}
            if waiting.get("reason") in NEVER:
                raise DrillError(f"pod {self.name} cannot start: {waiting}")
        if status.get("phase") in {"Failed", "Succeeded"}:
            raise DrillError(f"pod {self.name} has ended: {status.get('message', '')}")
        return status.get("phase") == "Running"

    async def _audited(self) -> bool:
        code = (await self._sh("cat /load/audited || true")).out.strip()
        if code not in {b"", b"0"}:
            told = (await self._sh("cat /load/before")).out.decode(errors="replace")
            raise DrillError(f"the ring does not stand an audit even before the drill: {told}")
        return bool(code)

    async def _takes(self) -> bool:
        return taken(await self.so_far()) >= 2  # the first one puts the goods on offer

    async def so_far(self) -> str:
        """Return the last thing that the load said.

        Raises:
            DrillError: it has ended.
        """
        done = await self._sh(f"touch {pod.ASKED}; tail -n 1 /load/progress; test -e /load/ended")
        told = done.out.decode(errors="replace").strip()
        if done.code == 0:
            raise DrillError(f"the load ended before the drill did: {told or 'without a word'}")
        return told

    async def end(self) -> Loaded:
        """Let it begin no more orders, and return what it saw, by this machine's clock.

        Raises:
            DrillError: it has not ended well.
        """
        await self._sh("kill -TERM $(cat /load/pid)")
        await self._until(self._ended, END_S, "does not end its load")
        told, orders = await self._sh("cat /load/result"), await self._sh("cat /load/orders")
        ahead = await self._clock_ahead()
        try:
            found = json.loads(told.out)
            listed = [
                order._replace(due=order.due - ahead)
                for order in read_orders(orders.out.decode().splitlines())
            ]
        except ValueError as wrong:
            said = (await self._sh("cat /load/progress")).out.decode(errors="replace")
            raise DrillError(f"the load told nothing: {wrong} {said[-500:]}") from wrong
        return Loaded(found, listed, [-1])

    async def _ended(self) -> bool:
        return (await self._sh("test -e /load/ended")).code == 0

    async def _clock_ahead(self) -> float:
        """Return by how much the pod's clock is ahead, from the quickest of a few looks at it."""
        best = (float("inf"), 0.0)
        for _ in range(CLOCK_TRIES):
            asked = time.time()
            told = float((await self._sh("date +%s.%N")).out)
            took = time.time() - asked
            best = min(best, (took, told - asked - took / 2))
        return best[1]

    async def audit(self) -> Audit:
        """Audit the ring from the pod."""
        words = pod.audit(self._options.name, by_tls=self.by_tls)
        return audit_of(await self._sh(f"{words} --acknowledged /load/acknowledged", AUDIT_S))

    async def post(self, url: str, name: str, body: str) -> Ran:
        """Ask a peer for something that takes the ring's token, as `pod.post` does."""
        return await self._kube.run(self._options.namespace, self.name, *pod.post(url, name, body))

    async def _sh(self, script: str, seconds: float = 60.0) -> Ran:
        namespace = self._options.namespace
        return await self._kube.run(namespace, self.name, "sh", "-c", script, seconds=seconds)

    async def keep(self, folder: Path) -> None:
        """Copy its lists here.

        Raises:
            DrillError, OSError: they cannot be read, or not be written.
        """
        for name in ("acknowledged", "orders"):
            done = await self._sh(f"cat /load/{name}")
            if done.code:
                raise DrillError(done.errors.decode(errors="replace").strip())
            await asyncio.to_thread((folder / name).write_bytes, done.out)

    async def close(self) -> None:
        """Delete the pod; it would end by itself, later."""
        if self._asking is not None:
            self._asking.cancel()
        if not self._made:
            return
        path, space = f"{self._space}/{self.name}", self._options.namespace
        for left in reversed(range(DELETE_TRIES)):
            try:
                await self._kube.call("delete", path, {"gracePeriodSeconds": 1}, patient=False)
            except KubeError as error:
                if error.status == NOT_FOUND:
                    return
                if not left:
                    raise DrillError(
                        f"pod {self.name} is still there ({error}): "
                        f"kubectl delete pod --namespace {space} {self.name}"
                    ) from error
                await asyncio.sleep(LOOK_S)
            else:
                return


async def takes_token_by_tls(kube: Kube, options: Options, peer: Object) -> bool:
    """Tell whether a ring is to be shown its token by TLS, as its Bazaar says.

    Who may not see that, but may delete pods, sees whether this one has certificates.

    Raises:
        KubeError: that is not known.
    """
    try:
        found = await kube.bazaar(options.namespace, options.name)
    except KubeError as error:
        if error.status == FORBIDDEN:
            return pod.has_certificates(peer)
        if error.status == NOT_FOUND:
            return False
        raise
    told = (found.get("status") or {}).get("tls") or {}
    return bool(told.get("token") == REQUIRED)


def audit_of(done: Ran) -> Audit:
    """Read what `bazaar verify --json` came to; one that died has audited nothing."""
    told = (done.errors or done.out).decode(errors="replace").strip()
    if done.code not in {0, 1}:
        return Audit(failed=f"bazaar verify ended with {done.code}: {told or 'without a word'}")
    try:
        said = json.loads(done.out)
        omitted, lost, twice = (int(said[name]) for name in ("omitted", "lost", "twice"))
        found = Audit(list(said["violations"]), omitted, lost, twice)
    except (ValueError, KeyError, TypeError) as wrong:
        return Audit(failed=f"bazaar verify told no audit ({wrong!r}): {told or 'not a word'}")
    if bool(found.violations) is not bool(done.code):
        count = len(found.violations)
        return Audit(failed=f"bazaar verify ended with {done.code}, and told {count} violations")
    return found
