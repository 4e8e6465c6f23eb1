"""An ASGI application on a real socket, inside the test's own process."""

import asyncio
import contextlib
import json
import pathlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import httpx2
import uvicorn
from joserfc.jwk import OKPKey

from chassis.http.identity import Identity, TokenSigner
from chassis.http.protocol import BoundedHead
from chassis.service import Service
from contracts.auth import Audience
from tests.kit.postgres import Database, drop_database, fresh_database


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


Of = Callable[[Identity], httpx2.AsyncClient]


@contextlib.asynccontextmanager
async def running(name: Audience, service: Service, settings: Any, folder: Path) -> AsyncIterator[tuple[Of, Database]]:
    """The service on a database of its own: clients of it, by who asks."""
    private, public = write_keys(folder)
    made = await fresh_database(name)
    signer = TokenSigner(private)
    urls = {"owner_url": made.owner_url, "api_url": made.api_url, "work_url": made.work_url}
    async with serving(service.app(settings(public_keys=public, kafka="127.0.0.1:1", **urls), work=False)) as url:

        def of(who: Identity) -> httpx2.AsyncClient:
            token, _ = signer.sign(replace(who, scopes=frozenset({"*"})), name)
            return httpx2.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"})

        yield of, made
    await drop_database(made)
