"""The Kubernetes API as a drill needs it: a few verbs on dicts, and programs run in a pod.

Only a drill in a cluster imports `kubernetes`, which the image has and a bare installation has not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import aiohttp

from bazaar_peer.command.drill.plan import DrillError

if TYPE_CHECKING:
    from kubernetes.aio import client

Object = dict[str, Any]
T = TypeVar("T")
TIMEOUT_S = 15.0
AWAY_S = 30.0
"""An API server that has answered, and takes no connection now, restarts: it is waited for."""
AGAIN_S = 0.5
READ_GONE = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)
NOT_BEGUN = (aiohttp.ClientConnectorError, aiohttp.WSServerHandshakeError)
"""Nobody took it; or no stream was opened for a program, which then was not begun."""
SERVER = 500
"""From here on what failed is not what was asked: the node's kubelet restarts, say."""
OUTPUT_MAX_BYTES = 512 << 20
"""Ten million orders, the most of a load, fit into it."""
MISSING = (
    "a drill in a cluster needs the Python package `kubernetes`: pip install 'bazaar[operator]', "
    "or run the drill from the Bazaar's own image, which has it"
)


class KubeError(DrillError):
    """A call that failed; status 0: no answer came at all."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"the Kubernetes API answers {status or 'nothing'}: {message}")
        self.status = status


class Ran(NamedTuple):
    """What a program in a pod came to."""

    code: int
    out: bytes
    errors: bytes


class Kube:
    """Made and closed in the loop that uses it."""

    def __init__(self, found: client.Configuration) -> None:
        from kubernetes.aio import client  # noqa: PLC0415 - seldom there, and slow
        from kubernetes.aio.dynamic import DynamicClient  # noqa: PLC0415
        from kubernetes.aio.stream import WsApiClient  # noqa: PLC0415

        self._errors: Any = (client.ApiException, aiohttp.ClientError, TimeoutError, OSError)
        self._client, self._socket = client.ApiClient(found), WsApiClient(found)
        self._dynamic = DynamicClient(self._client)  # not awaited: no discovery
        self._answered = False

    @classmethod
    async def connect(cls, context: str = "") -> Kube:
        """Connect as the kubeconfig says, or in a pod as its service account may.

        `context`: of the kubeconfig, and then only that.

        Raises:
            DrillError: there is neither, or no package to speak with.
        """
        try:
            from kubernetes.aio import client, config  # noqa: PLC0415 - seldom there, and slow
        except ImportError as error:
            raise DrillError(MISSING) from error
        found = client.Configuration()
        with contextlib.suppress(config.ConfigException):
            if not context:
                config.load_incluster_config(client_configuration=found)
                return cls(found)
        chosen = {"context": context} if context else {}
        try:
            await config.load_kube_config(client_configuration=found, **chosen)
        except (config.ConfigException, OSError) as error:
            raise DrillError(f"no kubeconfig that names a cluster: {error}") from error
        return cls(found)

    async def close(self) -> None:
        await self._client.close()
        await self._socket.close()

    async def bazaar(self, namespace: str, name: str) -> Object:
        """Return a resource; raises KubeError."""
        return await self.call(
            "get", f"/apis/bazaar.dev/v1alpha1/namespaces/{namespace}/bazaars/{name}"
        )

    async def call(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        kind: str = "",
        patient: bool = True,
        **query: str,
    ) -> Object:
        """Send one request; `kind`: the content type of a patch.

        `patient`: wait for an API server that restarts; what comes later than now may be wrong.

        Raises:
            KubeError: it was refused, or not answered.
        """
        found = json.loads(await self.raw(method, path, body, kind=kind, patient=patient, **query))
        assert isinstance(found, dict)
        return found

    async def raw(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        kind: str = "",
        patient: bool = True,
        **query: str,
    ) -> bytes:
        """Do the same, and return bytes."""

        async def send() -> bytes:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self._dynamic.request(
                    method, path, body, serialize=False, content_type=kind or None,
                    query_params=list(query.items()), _request_timeout=TIMEOUT_S,
                )  # fmt: skip
                return bytes(await answer.read())

        try:
            return await (self._again(send, reads=method == "get") if patient else send())
        except self._errors as error:
            status = int(getattr(error, "status", 0) or 0)
            told = f"{getattr(error, 'reason', '')} {getattr(error, 'body', '')}".strip()
            raise KubeError(status, f"{method} {path}: {told or repr(error)}") from error

    async def _again(self, send: Callable[[], Awaitable[T]], *, reads: bool) -> T:
        """Send it until it has come through: while nobody takes a connection it has done nothing.

        What only reads is sent again after a connection broke, too. Who never answered is no API
        server that restarts, but a wrong address: that is told at once.
        """
        gone = READ_GONE if reads else NOT_BEGUN
        until = time.monotonic() + AWAY_S
        while True:
            try:
                found = await send()
            except gone as error:
                refused = (
                    isinstance(error, aiohttp.WSServerHandshakeError) and error.status < SERVER
                )
                if refused or not self._answered or time.monotonic() > until:
                    raise
            else:
                self._answered = True
                return found
            await asyncio.sleep(AGAIN_S)

    async def run(self, namespace: str, pod: str, *words: str, seconds: float = 60.0) -> Ran:
        """Run a program in a pod's only container, to its end.

        Raises:
            KubeError: it could not be run, or did not end, or told too much.
        """
        out = {1: bytearray(), 2: bytearray(), 3: bytearray()}
        begin = partial(self._exec, namespace, pod, words)
        what = f"run {words[0]} in pod {pod}"
        try:
            async with asyncio.timeout(seconds), await self._again(begin, reads=False) as socket:
                async for message in socket:
                    channel, told = message.data[0], message.data[1:]
                    if channel in out:
                        out[channel] += told
                    if len(out[1]) > OUTPUT_MAX_BYTES:
                        raise KubeError(0, f"{what}: more than {OUTPUT_MAX_BYTES} bytes")
            code = self._socket.parse_error_data(out[3].decode())
        except self._errors as error:
            raise KubeError(int(getattr(error, "status", 0) or 0), f"{what}: {error!r}") from error
        except (ValueError, KeyError, IndexError, TypeError) as error:
            told = out[3].decode(errors="replace") or "the connection broke"
            raise KubeError(0, f"{what}: {told}") from error
        return Ran(code, bytes(out[1]), bytes(out[2]))

    async def _exec(self, namespace: str, pod: str, words: tuple[str, ...]) -> Any:
        """Begin a program; return its socket."""
        flags = [("stdin", "false"), ("stdout", "true"), ("stderr", "true"), ("tty", "false")]
        request = await self._socket.param_serialize(
            "GET",
            f"/api/v1/namespaces/{namespace}/pods/{pod}/exec",
            query_params=[*(("command", word) for word in words), *flags],
            auth_settings=["BearerToken"],
        )
        return await (await self._socket.call_api(*request, _preload_content=False)).response
