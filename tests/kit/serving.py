"""An ASGI application on a real socket, inside the test's own process."""

import asyncio
import contextlib
import json
import pathlib
from collections.abc import AsyncIterator
from typing import Any, Literal

import uvicorn
from joserfc.jwk import OKPKey

from chassis.http.protocol import BoundedHead


@contextlib.asynccontextmanager
async def serving(app: Any, *, port: int = 0, keep_alive: int = 75, trusted: str = "") -> AsyncIterator[str]:
    """Serve until the block ends; gives the address, as http://127.0.0.1:1234. `trusted`: proxies, as the gateway's."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, http=BoundedHead, ws="none", log_config=None, access_log=False,
        server_header=False, timeout_keep_alive=keep_alive, timeout_graceful_shutdown=1,
        proxy_headers=bool(trusted), forwarded_allow_ips=trusted or None,
    )  # fmt: skip
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
    while not server.started:
        if task.done():
            task.result()
            raise RuntimeError("the application did not start")
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


def write_keys(
    folder: pathlib.Path, kid: str = "test", curve: Literal["Ed25519", "X25519"] = "Ed25519"
) -> tuple[pathlib.Path, pathlib.Path]:
    """A key pair, for internal tokens or (X25519) for notify: the files of its private and its public half."""
    key = OKPKey.generate_key(curve, {"kid": kid}, private=True)
    start = "" if curve == "Ed25519" else "notify-"
    private, public = folder / f"{start}private.json", folder / f"{start}public.json"
    private.write_text(json.dumps(key.as_dict(private=True)))
    public.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    return private, public
