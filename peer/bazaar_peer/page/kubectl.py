"""`kubectl proxy`, run for the pods of one namespace: what reaches the cluster for the live page.

What it says is read for as long as it runs, or it would stand still once the pipe is full; the end
of it is kept, for whoever has to be told what is wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator
from typing import Final

from bazaar_peer.page.watch import HOST

READY_S: Final = 20.0
SERVING = re.compile(r"Starting to serve on [\d.]+:(\d+)\s")
SAID_MAX_BYTES: Final = 4096
LINES_MAX: Final = 3


class ClusterError(Exception):
    """The cluster, or the ring in it, cannot be reached; the text says what to do."""


class Kubectl:
    """A `kubectl proxy` that runs; `url`: where it serves, once `ready` has returned."""

    def __init__(self, output: asyncio.StreamReader) -> None:
        self.url = ""
        self._output, self._end = output, b""
        self._settled = asyncio.Event()

    def said(self) -> str:
        """Return its last lines."""
        lines = self._end.decode(errors="replace").splitlines()[-LINES_MAX:]
        return " / ".join(line.strip() for line in lines)

    async def listen(self) -> None:
        """Read what it says, to its end."""
        while some := await self._output.read(SAID_MAX_BYTES):
            self._end = (self._end + some)[-SAID_MAX_BYTES:]
            if not self.url and (found := SERVING.search(self._end.decode(errors="replace"))):
                self.url = f"http://{HOST}:{found.group(1)}"
                self._settled.set()
        self._settled.set()

    async def ready(self) -> None:
        """Wait until it serves. Raises ClusterError if it does not."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), READY_S)
        if not self.url:
            raise ClusterError(f"kubectl proxy does not serve: {self.said() or 'silence'}")


@contextlib.asynccontextmanager
async def kubectl_proxy(namespace: str, context: str) -> AsyncIterator[Kubectl]:
    """Run `kubectl proxy` for the pods of a namespace.

    Raises:
        ClusterError: there is no kubectl, or it cannot.
    """
    if (program := shutil.which("kubectl")) is None:
        raise ClusterError("kubectl is not on the PATH: it is what reaches the cluster")
    words = [f"--context={context}"] if context else []
    words += ["proxy", f"--address={HOST}", "--port=0"]
    words.append(f"--accept-paths=^/api/v1/namespaces/{re.escape(namespace)}/pods(/.*)?$")
    process = await asyncio.create_subprocess_exec(
        program, *words, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    kubectl = Kubectl(process.stdout)
    listening = asyncio.create_task(kubectl.listen())
    try:
        await kubectl.ready()
        yield kubectl
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        listening.cancel()


async def namespace_of() -> str:
    """Return the namespace of the kubeconfig's present context."""
    program = shutil.which("kubectl")
    if program is None:
        return "default"  # what reaches the cluster will say that it is missing
    asking = await asyncio.create_subprocess_exec(
        program, "config", "view", "--minify", "--output=jsonpath={..namespace}",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    told, _ = await asking.communicate()
    return told.decode(errors="replace").strip() or "default"
