"""What a peer in a pod does to itself for a while: nothing from outside of the pod could.

A signal to a pod's first process and a rule of its network's firewall take rights on the node,
which a drill is not given. A ring of `spec.drills` has peers that stand still, or drop what others
send, when whoever shows the ring's token asks for it; both end by themselves. The token lies in the
load's pod, and is asked with from there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from bazaar_peer.command.drill.ending import healed_after
from bazaar_peer.command.drill.kube import Kube
from bazaar_peer.command.drill.loadpod import LoadPod
from bazaar_peer.command.drill.plan import DrillError, Kind, Options

NOT_LET = (
    "Bazaar {target} lets no peer be paused or cut off. If it may be: kubectl patch bazaar {name} "
    '--namespace {namespace} --type merge --patch \'{{"spec": {{"drills": true}}}}\', which rolls '
    "the ring once; then drill again"
)
REFUSED = "peer {peer} was not {done}: {why}"
EARLIER = (
    ". Its pod is of before spec.drills was set: wait until `kubectl get bazaar` says Running, and "
    "drill again"
)
DONE = {Kind.PAUSE: "paused", Kind.CUT: "cut off"}


async def check(kube: Kube, options: Options) -> None:
    """See that the ring lets itself be drilled so.

    Raises:
        DrillError: it does not; the text says how it would.
    """
    space, name = options.namespace, options.name
    spec = (await kube.bazaar(space, name)).get("spec") or {}
    if not spec.get("drills"):
        raise DrillError(NOT_LET.format(target=f"{space}/{name}", name=name, namespace=space))


class Lasting:
    """One such fault: `where` is the victim's URL by its address, and its name in certificates."""

    def __init__(
        self, load: LoadPod, peer: int, where: tuple[str, str], others: Sequence[int]
    ) -> None:
        self._load, self._peer, self._others = load, peer, list(others)
        self._base, self._name = where

    async def do(self, kind: Kind, seconds: float) -> None:
        """Do it, and return when it is over.

        Raises:
            DrillError: the peer does not do it.
        """
        if kind is Kind.PAUSE:
            await self._ask(kind, {"seconds": seconds})
            await asyncio.sleep(seconds)
            return
        await self._ask(kind, {"peers": self._others, "seconds": seconds})
        await healed_after(seconds, lambda: self._ask(kind, {"peers": []}))

    async def _ask(self, kind: Kind, body: dict[str, Any]) -> None:
        url = f"{self._base}/v1/{kind.value}"
        done = await self._load.post(url, self._name, json.dumps(body))
        if done.code:
            told = done.errors.decode(errors="replace").strip().splitlines() or ["not a word"]
            why = told[-1] + (EARLIER if told[-1].startswith("404:") else "")
            raise DrillError(REFUSED.format(peer=self._peer, done=DONE[kind], why=why))
