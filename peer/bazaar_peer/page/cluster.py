"""The live page of a ring in a cluster, through a small server here that outlives every pod.

    browser  →  this server  →  kubectl proxy  →  API server  →  a pod that is ready

The page's own files come from here; what it asks of the ring goes to one pod after the other until
a peer answers: what the API server says in its stead is no answer. `kubectl proxy` knows how to
reach the cluster, whatever the kubeconfig says, and lets nothing through but the pods of one
namespace.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Callable
from typing import Any, Final

import aiohttp
from aiohttp import web

from bazaar_peer.page import watch
from bazaar_peer.page.kubectl import ClusterError, Kubectl, kubectl_proxy
from bazaar_peer.page.pages import Handler, Pages
from bazaar_peer.page.watch import local
from bazaar_peer.runtime.answers import body_within
from bazaar_peer.runtime.problems import CONTENT_TYPE, Problem

CLIENT_PORT: Final = 8600
ANSWER_S, ORDER_S = 5.0, 20.0
SILENT_S = 10.0
"""A story says something every second."""
LOOK_S = 5.0
BODY_MAX_BYTES: Final = 8 << 20
WORDS_MAX: Final = 300
UNKNOWN: Final = (
    "unknown: it was sent, and no peer's answer came; look it up by its key, or send it again with "
    "the same one. The last word was: {}"
)
PASSED: Final = ("Content-Type", "Idempotency-Key", "Bazaar-Client", "Bazaar-Deadline")
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

    def answered(self, url: str) -> None:
        pod = url.removeprefix(self._base).strip("/").partition(":")[0]
        self._names.sort(key=lambda name: name != pod)

    async def _look(self) -> None:
        asked = {"labelSelector": f"bazaar.dev/bazaar={self.name}"}
        try:
            async with self._http.get(self._base, params=asked) as answer:
                told = await answer.json()
        except GONE as wrong:
            said = self._kubectl.said() or "nothing"
            raise ClusterError(
                f"the cluster does not answer: {wrong!r}; kubectl proxy said: {said}"
            ) from wrong
        if answer.status != 200:
            raise ClusterError(f"the cluster refuses: {told.get('message', answer.status)}")
        found = {pod["metadata"]["name"]: _is_ready(pod) for pod in told["items"]}
        peers = [pod for pod in found if re.fullmatch(rf"{re.escape(self.name)}-\d+", pod)]
        if not peers:
            raise ClusterError(
                f"no pod of a Bazaar {self.name} in namespace {self.namespace}; "
                "`kubectl get bazaars -A` lists what there is"
            )
        known = {pod: place for place, pod in enumerate(self._names)}
        self._names = sorted(peers, key=lambda pod: (not found[pod], known.get(pod, 99), pod))


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


class Forwarder:
    """Hands on what the page asks."""

    def __init__(self, http: aiohttp.ClientSession, pods: Pods) -> None:
        self._http, self._pods = http, pods

    async def answer(self, request: web.Request) -> web.Response:
        """Ask one pod after the other; a command the next one only if nobody passed it on."""
        body = await request.read()
        headers = {name: request.headers[name] for name in PASSED if name in request.headers}
        limit = ANSWER_S if request.method == "GET" else ORDER_S
        why = ""
        for url in await self._pods.urls():
            passed_on = True
            try:
                async with self._http.request(
                    request.method, url + request.path_qs, data=body or None, headers=headers,
                    timeout=aiohttp.ClientTimeout(total=limit),
                ) as found:  # fmt: skip
                    if _is_peers(found):
                        return await self._handed_on(request, url, found)
                    passed_on = found.status >= 500
                    why = await _words(found)
            except GONE as gone:
                why = repr(gone)
                passed_on = not isinstance(gone, aiohttp.ClientConnectorError)
            if passed_on and request.method != "GET":
                raise Problem(504, UNKNOWN.format(why))
        raise Problem(503, f"no peer answers; the last word was: {why}")

    async def _handed_on(
        self, request: web.Request, url: str, found: aiohttp.ClientResponse
    ) -> web.Response:
        text = await body_within(found, BODY_MAX_BYTES)
        self._pods.answered(url)
        if request.path == "/v1/ring":
            text = _here(text, f"http://{request.host}")
        return web.Response(status=found.status, body=text, content_type=found.content_type)

    async def story(self, request: web.Request) -> web.StreamResponse:
        """Pass a pod's story on until it ends; the page comes again, and hears another's."""
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        why = ""
        for url in await self._pods.urls():
            try:
                async with self._http.get(
                    url + request.path_qs,
                    timeout=aiohttp.ClientTimeout(total=None, sock_read=SILENT_S),
                ) as found:
                    if (found.status, found.content_type) != (200, "text/event-stream"):
                        why = await _words(found)
                        continue
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


def _here(body: bytes, origin: str) -> bytes:
    """Name this server as the place of every peer: a browser reaches no other, nor changes one."""
    told = json.loads(body)
    told["looks_only"] = True
    for row in told.get("peers", ()):
        row["url"] = origin
    return json.dumps(told).encode()


async def serve(
    namespace: str, name: str, context: str, port: int, tell: Callable[[str], None]
) -> None:
    """Serve until cancelled; `tell` hears the address once a pod is known.

    Raises:
        ClusterError: the ring cannot be reached.
        OSError: the port is taken.
    """
    limit = aiohttp.ClientTimeout(total=ANSWER_S)
    async with (
        kubectl_proxy(namespace, context) as kubectl,
        aiohttp.ClientSession(timeout=limit) as http,
    ):
        pods = Pods(http, kubectl, namespace, name)
        await pods.urls()
        await watch.serve(make_app(Forwarder(http, pods)), port, tell)


@web.middleware
async def _plainly(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer in a peer's own form where no peer does."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except ClusterError as wrong:
        return Problem(503, str(wrong)).response()


def make_app(forwarder: Forwarder) -> web.Application:
    app = web.Application(middlewares=[local, _plainly], client_max_size=BODY_MAX_BYTES)
    app.router.add_get("/v1/story", forwarder.story)
    for path in ("/v1/ring", "/v1/stock", "/v1/record"):
        app.router.add_get(path, forwarder.answer)
    app.router.add_post("/v1/orders", forwarder.answer)
    for method, path, handler in Pages().routes():
        app.router.add_route(method, path, handler)
    return app
