"""A stand-in for `kubectl proxy`: leads to peers on this machine, as the API server leads to pods.

PORT and PEERS in the environment say which; with PEERS=0 there is no peer. Files beside it, in
FOLDER, say what is wrong meanwhile: `deleted-1`, pod 1 is gone, and was in the list a moment ago;
`forbidden`, the right to reach pods is missing; `chatty`, it says much;
`cut`, the connection ends when a command has come.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from aiohttp import ClientError, ClientSession, web

PORT, PEERS = (int(os.environ.get(name, "0")) for name in ("PORT", "PEERS"))
FOLDER = Path(os.environ.get("FOLDER", "."))
PODS = "/api/v1/namespaces/shops/pods"
HEADERS = ("Content-Type", "Idempotency-Key", "Bazaar-Client", "Bazaar-Index")


async def pods(request: web.Request) -> web.Response:
    if request.query["labelSelector"] != "bazaar.dev/bazaar=shop":
        return web.json_response({"items": []})
    if (FOLDER / "chatty").exists():
        sys.stdout.write("E1124 http: proxy error\n" * 20_000 + "the last line\n")
        sys.stdout.flush()  # and waits for who reads it
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    names = [f"shop-{number}" for number in range(PEERS)] + ["shop-test"]
    return web.json_response(
        {"items": [{"metadata": {"name": name}, "status": ready} for name in names]}
    )


def status(code: int, reason: str, message: str) -> web.Response:
    """Answer as the API server does for itself."""
    told = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return web.json_response(
        told | {"message": message, "reason": reason, "code": code}, status=code
    )


async def proxy(request: web.Request) -> web.StreamResponse:
    pod = f"shop-{request.match_info['number']}"
    if (FOLDER / f"deleted-{request.match_info['number']}").exists():
        return status(404, "NotFound", f'pods "{pod}" not found')
    if (FOLDER / "forbidden").exists():
        return status(403, "Forbidden", f'pods "{pod}" is forbidden: cannot get "pods/proxy"')
    if (FOLDER / "cut").exists() and await request.read() and request.transport:
        request.transport.abort()
    port = PORT + int(request.match_info["number"])
    query = f"?{request.query_string}" if request.query_string else ""
    where = f"http://127.0.0.1:{port}/{request.match_info['path']}{query}"
    headers = {name: request.headers[name] for name in HEADERS if name in request.headers}
    body = await request.read() or None
    try:
        async with (
            ClientSession() as http,
            http.request(request.method, where, data=body, headers=headers) as found,
        ):
            told = ("Content-Type", "Bazaar-Index", "Retry-After")
            headers = {name: found.headers[name] for name in told if name in found.headers}
            response = web.StreamResponse(status=found.status, headers=headers)
            await response.prepare(request)
            async for chunk in found.content.iter_any():
                await response.write(chunk)
            return response
    except ClientError:
        return status(503, "ServiceUnavailable", "error trying to reach service: refused")


async def main() -> None:
    if sys.argv[1] == "config":
        sys.stdout.write("shops")  # the present namespace
        return
    assert sys.argv[1] == "proxy", sys.argv
    assert "--accept-paths=^/api/v1/namespaces/shops/pods(/.*)?$" in sys.argv, sys.argv
    app = web.Application()
    app.router.add_get(PODS, pods)
    app.router.add_route("*", f"{PODS}/shop-{{number}}:8600/proxy/{{path:.*}}", proxy)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"Starting to serve on 127.0.0.1:{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
