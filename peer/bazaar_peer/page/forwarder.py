"""Requests from this machine to the pods of a ring in a cluster, by way of `kubectl proxy`.

    here  →  kubectl proxy  →  API server  →  a pod

A request goes to one pod after the other until a peer answers: what the API server says in its
stead is no answer. `kubectl proxy` knows how to reach the cluster, whatever the kubeconfig says,
and lets nothing through but the pods of one namespace.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import aiohttp
from aiohttp import web

from bazaar_peer.page.kubectl import ClusterError, Kubectl, kubectl_proxy
from bazaar_peer.page.pages import Handler
from bazaar_peer.runtime.answers import body_within
from bazaar_peer.runtime.problems import CONTENT_TYPE, Problem

CLIENT_PORT: Final = 8600
SILENT_S = 10.0
"""A story says something every second, events do so, too."""
LOOK_S = 5.0
BODY_MAX_BYTES: Final = 8 << 20
WORDS_MAX: Final = 300
UNKNOWN: Final = (
    "unknown: it was sent, and no peer's answer came; look it up by its key, or send it again with "
    "the same one. The last word was: {}"
)
PASSED: Final = (
    "Content-Type", "Idempotency-Key", "Bazaar-Client", "Bazaar-Deadline", "Bazaar-Index",
    "Bazaar-Session", "Bazaar-Number", "Bazaar-Floor",
)  # fmt: skip
RETURNED: Final = ("Bazaar-Index", "Retry-After")
Place = Callable[[dict[str, Any], str], None]
"""Changes a view of the ring so that its peers are found from here: it is given this origin."""
GONE = (aiohttp.ClientError, TimeoutError, ValueError)


class Pods:
    """The pods of one Bazaar, through a `kubectl proxy`."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        kubectl: Kubectl,
        namespace: str,
        name: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http, self._kubectl, self._clock = http, kubectl, clock
        self.namespace, self.name = namespace, name
        self._base = f"{kubectl.url}/api/v1/namespaces/{namespace}/pods"
        self._names: list[str] = []
        self._wrong = ""
        self._looking = asyncio.Lock()
        self._looked = -LOOK_S

    async def urls(self) -> list[str]:
        """Return where pods answer, whoever answered last before the others.

        Raises:
            ClusterError: there are none, or the cluster does not say, as of the last look.
        """
        async with self._looking:
            if self._clock() - self._looked > LOOK_S:
                try:
                    await self._look()
                    self._wrong = ""
                except ClusterError as wrong:
                    self._wrong = str(wrong)
                self._looked = self._clock()
        if self._wrong:
            raise ClusterError(self._wrong)
        return [f"{self._base}/{pod}:{CLIENT_PORT}/proxy" for pod in self._names]

    def url(self, peer: int) -> str:
        """Return where this one peer answers, if it does."""
        return f"{self._base}/{self.name}-{peer}:{CLIENT_PORT}/proxy"

    def answered(self, url: str) -> None:
        pod = url.removeprefix(self._base).strip("/").partition(":")[0]
        self._names.sort(key=lambda name: name != pod)

    async def _look(self) -> None:
        asked = {"labelSelector": f"bazaar.dev/bazaar={self.name}"}
        try:
            async with self._http.get(self._base, params=asked) as answer:
                if answer.status != 200:
                    raise ClusterError(f"the cluster refuses: {await _words(answer)}")
                told = await answer.json()
        except GONE as wrong:
            said = self._kubectl.said() or "nothing"
            raise ClusterError(
                f"the cluster does not answer: {wrong!r}; kubectl proxy said: {said}"
            ) from wrong
        found = {pod["metadata"]["name"]: _is_ready(pod) for pod in told["items"]}
        peers = [pod for pod in found if re.fullmatch(rf"{re.escape(self.name)}-\d+", pod)]
        if not peers:
            raise ClusterError(
                f"no pod of a Bazaar {self.name} in namespace {self.namespace}; "
                "`kubectl get bazaars -A` lists what there is"
            )
        known = {pod: place for place, pod in enumerate(self._names)}
        self._names = sorted(peers, key=lambda pod: (not found[pod], known.get(pod, 99), pod))


@contextlib.asynccontextmanager
async def reached_pods(
    namespace: str, name: str, context: str = ""
) -> AsyncIterator[tuple[aiohttp.ClientSession, Pods]]:
    """Have a way to the pods of a Bazaar meanwhile, at least one of which is there.

    Raises:
        ClusterError: the ring cannot be reached.
    """
    async with (
        kubectl_proxy(namespace, context) as kubectl,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LOOK_S)) as http,
    ):
        pods = Pods(http, kubectl, namespace, name)
        await pods.urls()
        yield http, pods


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


class Forwarder:
    """Hands on what is asked here: to any pod, or, where the route has a `peer`, to its pod.

    `limits`: seconds for the answer to a question, and to a command.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        pods: Pods,
        place: Place,
        *,
        limits: tuple[float, float],
    ) -> None:
        self._http, self._pods, self._place, self._limits = http, pods, place, limits

    async def answer(self, request: web.Request) -> web.Response:
        """Ask one pod after the other; a command the next one only if nobody passed it on."""
        body = await request.read()
        headers = {name: request.headers[name] for name in PASSED if name in request.headers}
        limit = self._limits[request.method != "GET"]
        path, urls = await self._where(request)
        why = ""
        for url in urls:
            passed_on = True
            try:
                async with self._http.request(
                    request.method, url + path, data=body or None, headers=headers,
                    timeout=aiohttp.ClientTimeout(total=limit),
                ) as found:  # fmt: skip
                    if _is_peers(found):
                        if len(urls) > 1:  # else nobody was chosen
                            self._pods.answered(url)
                        return await self._handed_on(request, path, found)
                    passed_on = found.status >= 500
                    why = await _words(found)
            except GONE as gone:
                why = repr(gone)
                passed_on = not isinstance(gone, aiohttp.ClientConnectorError)
            if passed_on and request.method != "GET":
                raise Problem(504, UNKNOWN.format(why))
        raise Problem(503, f"no peer answers; the last word was: {why}")

    async def _where(self, request: web.Request) -> tuple[str, list[str]]:
        """Return the path at a peer, and at which pods."""
        if (peer := request.match_info.get("peer")) is None:
            return request.path_qs, await self._pods.urls()
        return request.path_qs.removeprefix(f"/peers/{peer}"), [self._pods.url(int(peer))]

    async def _handed_on(
        self, request: web.Request, path: str, found: aiohttp.ClientResponse
    ) -> web.Response:
        text = await body_within(found, BODY_MAX_BYTES)
        if path == "/v1/ring":
            told = json.loads(text)
            self._place(told, f"http://{request.host}")
            text = json.dumps(told).encode()
        headers = {name: found.headers[name] for name in RETURNED if name in found.headers}
        headers["Content-Type"] = found.headers.get("Content-Type", "application/octet-stream")
        return web.Response(status=found.status, body=text, headers=headers)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Pass on what a pod tells until it ends; who listens comes again, and hears another."""
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        why = ""
        path, urls = await self._where(request)
        for url in urls:
            try:
                async with self._http.get(
                    url + path,
                    timeout=aiohttp.ClientTimeout(total=None, sock_read=SILENT_S),
                ) as found:
                    if (found.status, found.content_type) != (200, "text/event-stream"):
                        why = await _words(found)
                        continue
                    if len(urls) > 1:
                        self._pods.answered(url)
                    await response.prepare(request)
                    async for chunk in found.content.iter_any():
                        await response.write(chunk)
            except GONE as gone:
                why = repr(gone)
            if response.prepared:
                return response
        raise Problem(503, f"no peer tells the story; the last word was: {why}")


def _is_peers(found: aiohttp.ClientResponse) -> bool:
    """Tell whether a peer answered, and not somebody on the way: a peer's errors are problems.

    The API server's own are a `Status`, as JSON: of a pod that is gone, of a right that is missing.
    """
    return found.status < 400 or found.content_type == CONTENT_TYPE


async def _words(found: aiohttp.ClientResponse) -> str:
    """Return what is said by an answer that is of no use, for a person."""
    if found.status < 400:
        return f"{found.status} {found.content_type}"
    text = (await body_within(found, BODY_MAX_BYTES)).decode(errors="replace")
    with contextlib.suppress(ValueError, AttributeError):
        told = json.loads(text)
        text = str(told.get("message") or told.get("detail") or text)
    return f"{found.status} {text[:WORDS_MAX]}"


@web.middleware
async def plainly(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer in a peer's own form where no peer does."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except ClusterError as wrong:
        return Problem(503, str(wrong)).response()
